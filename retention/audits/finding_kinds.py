"""What each kind of finding is called in Simplified Chinese, and what it says: one entry a kind, audit by audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class FindingKind(NamedTuple):
    """``says`` of every finding of the kind; ``forms`` say more of a detail that a pattern matches as a whole."""

    name: str
    says: str
    forms: Mapping[str, str] = {}


_N: Final = r"(\d[\d,]*)"
KINDS: Final[Mapping[str, FindingKind]] = {
    # coverage
    "gap": FindingKind(
        "缺口", "有偏移量从未入库。", {rf"{_N} offsets were never committed\.": "{0} 个偏移量从未入库。"}
    ),
    "overlap": FindingKind("重复入库", "这些偏移量入库了两次。"),
    "batch_empty": FindingKind("空批次", "该批次的范围为空。"),
    "cursor_astray": FindingKind(
        "游标错位", "游标与已提交的批次不一致。",
        {r"The cursor stands at (\S+), the committed batches end at (\S+)\.": "游标位于 {0}，已提交批次止于 {1}。"},
    ),
    "partition_unknown": FindingKind("未知分区", "批次所属的分区未登记。"),
    "rows_missing": FindingKind(
        "缺少记录", "封存的行数少于批次的记录数。",
        {
            rf"The batch had {_N} records, the segments hold {_N} rows of it\.":
                "批次有 {0} 条记录，封存段中有 {1} 行。",
        },
    ),
    "rows_surplus": FindingKind(
        "多出记录", "封存的行数多于批次的记录数。",
        {
            rf"The batch had {_N} records, the segments hold {_N} rows of it\.":
                "批次有 {0} 条记录，封存段中有 {1} 行。",
        },
    ),
    "place_without_batch": FindingKind(
        "无批次的位置", "封存段含有从未提交的范围。",
        {rf"Segments hold {_N} rows of a range that was never committed\.": "封存段含有从未提交范围中的 {0} 行。"},
    ),
    "segment_without_places": FindingKind(
        "无来源位置", "封存段的行不属于任何来源范围。",
        {rf"Its {_N} rows belong to no range of a source\.": "其 {0} 行不属于任何来源范围。"},
    ),
    "segment_rows": FindingKind(
        "行数不符", "封存段行数与其位置所记不符。",
        {rf"It has {_N} rows, its places {_N}\.": "该段有 {0} 行，其位置合计 {1} 行。"},
    ),
    "range_open": FindingKind(
        "未完成的范围", "已计划而尚未提交；下次 `liucun run` 该来源时继续。",
        {
            r"Planned since (\S+) and not committed yet; .+":
                "自 {0} 起已计划而尚未提交；下次 `liucun run` 该来源时继续。",
        },
    ),
    "manifest_mismatch": FindingKind(
        "清单不符", "目录与封存段清单不一致。",
        {
            r"The catalogue's (\S+) is (.+), the manifest's (.+)\.": "目录中 {0} 为 {1}，清单中为 {2}。",
            r"The catalogue's places are not the manifest's\.": "目录所记位置与清单不一致。",
        },
    ),
    "object_size": FindingKind(
        "对象大小不符", "存储对象的大小与入库时不同。",
        {rf"It has {_N} bytes; {_N} were stored\.": "现有 {0} 字节，入库时为 {1} 字节。"},
    ),
    "object_missing": FindingKind("对象缺失", "存储库中没有该封存段的对象，请从备份恢复。"),
    "orphan": FindingKind("孤立对象", "没有封存段指向该对象：为未提交批次所留，由 `liucun compact` 回收。"),
    "source_lost": FindingKind(
        "来源丢失", "来源在归档前丢失了数据。",
        {r"(.+) were never archived: (.+) \(recorded (.+)\)\.": "{0} 从未归档：{1}（记录于 {2}）。"},
    ),
    "source_silent": FindingKind(
        "来源静默", "已声明的来源没有数据，或静默超过其常态。",
        {
            r"It is declared, and nothing came\.": "已声明，但从无数据到达。",
            r"It is declared, and its places are read, and no record was ever in them\.":
                "已声明且正在读取，但从无记录。",
            r"No batch since (.+) \((.+)\); its pauses usually last up to (.+)\.":
                "自 {0} 起没有批次（已 {1}）；其间歇通常不超过 {2}。",
        },
    ),
    "time_gap": FindingKind("时间缺口", "该来源在这些时段通常有记录，而此处没有。"),
    "not_monitored": FindingKind(
        "未监测", "没有在运行的检测器覆盖。",
        {
            r"Nobody has declared whether its `text` is public; until then it is not scanned\.":
                "尚未声明其 `text` 是否公开；声明之前不扫描。",
            r"This field holds text, and nobody has declared whether it is public; until then it is not scanned\.":
                "该字段含有文本，尚未声明是否公开；声明之前不扫描。",
            r"No live detector for item (\d+) of Article 15 \((.+)\): load the lists that you were given\.":
                "第十五条第（{0}）项（{1}）没有在运行的检测器：请载入主管部门下发的词表。",
            rf"No live detector for content of the type (.+); {_N} records of this type are in the archive\.":
                "类型为 {0} 的内容没有在运行的检测器；归档中有 {1} 条该类型记录。",
            r"No live detector for content of the type (.+); no record of it came yet\.":
                "类型为 {0} 的内容没有在运行的检测器；尚无该类型记录。",
        },
    ),
    "offsets_without_message": FindingKind(
        "无消息的偏移量", "部分偏移量没有消息。",
        {
            rf"{_N} offsets have no message: (.+?)\.? The source is declared gapless: .+":
                "{0} 个偏移量没有消息：{1}。该来源声明为无缺口：这些消息在读取之前已丢失。",
            rf"{_N} offsets have no message: (.+?)\.? Compaction and .+":
                "{0} 个偏移量没有消息：{1}。压实与事务标记会留下此类空位；其他主题则为消息丢失。",
        },
    ),
    "offsets_unaccounted": FindingKind(
        "偏移量不平", "偏移量与记录、表头、空消息之和不相等。",
        {
            rf"{_N} offsets, {_N} records, {_N} headers and empty messages, {_N} without a message on record: {_N} "
            r"are nowhere\.": "{0} 个偏移量，{1} 条记录，{2} 个表头与空消息，{3} 个确无消息：{4} 个去向不明。",
            rf"{_N} offsets, {_N} records, {_N} headers and empty messages, {_N} without a message on record: {_N} "
            r"too many\.": "{0} 个偏移量，{1} 条记录，{2} 个表头与空消息，{3} 个确无消息：多出 {4} 个。",
        },
    ),
    # integrity and the log
    "rows_uncommitted": FindingKind(
        "行未承诺", "部分记录入库早于行承诺，且其后经过合并，无从证明合并中未被更改。",
        {
            rf"{_N} records were taken in before .+":
                "{0} 条记录入库早于行承诺，且其后经过合并：无从证明合并中未被更改。",
        },
    ),
    "rows_changed": FindingKind("记录被更改", "行与日志中的承诺不一致。"),
    "rows_unproved": FindingKind("记录无法证明", "行的来历无法由日志证明。"),
    "key_unavailable": FindingKind("密钥不可用", "密钥缺失或被拒绝，无法读取。"),
    "object_unreadable": FindingKind("对象无法读取", "存储库未能给出该对象。"),
    "segment_damaged": FindingKind("封存段损坏", "封存段未通过认证：已被更改或损坏。"),
    "unread": FindingKind("无法读取", "审计所需的内容未能读取。"),
    "history_contradicted": FindingKind(
        "历史矛盾", "透明日志有问题，见 `liucun audit integrity`。",
        {rf"The transparency log has {_N} faults: .+": "透明日志有 {0} 个问题，见 `liucun audit integrity`。"},
    ),
    "not_witnessed": FindingKind(
        "尚未见证", "第二保管人尚未见到最新的条目；保证以其所见为限。",
        {
            rf"The custodian has not seen the last {_N} entries yet; .+":
                "第二保管人尚未见到最后 {0} 个条目；保证以其所见为限。",
        },
    ),
    "log_not_pinned": FindingKind("日志未固定", "日志与所固定的公钥不符，或无签名状态可证。"),
    "signature_not_pinned": FindingKind("签名不符", "最新签名状态并非由所固定的公钥签署；密钥若已更新，请固定新公钥。"),
    "entries_gap": FindingKind(
        "条目缺口", "没有对象保存这些条目。",
        {rf"No object holds the entries {_N} to {_N}\.": "没有对象保存第 {0} 至 {1} 条。"},
    ),
    "leaf_missing": FindingKind(
        "叶节点缺失", "日志的叶节点缺失。",
        {rf"The log's leaves {_N} to {_N} are gone\.": "日志第 {0} 至 {1} 个叶节点缺失。"},
    ),
    "entry_missing": FindingKind(
        "条目缺失", "日志中有，目录中已无。",
        {rf"The log has it at {_N}, the catalogue no longer\.": "日志第 {0} 条有记录，目录中已无。"},
    ),
    "entry_unlogged": FindingKind("未入日志", "目录中有，日志从未记载。"),
    "entry_changed": FindingKind(
        "条目被更改", "与日志所承诺的内容不符。",
        {rf"It is not what the log committed to at {_N}\.": "与日志第 {0} 条所承诺的内容不符。"},
    ),
    "entries_refused": FindingKind("条目未通过验证", "日志对象未通过验证。"),
    "successor_missing": FindingKind("后继缺失", "没有封存段声明取代它。"),
    "destruction_unlogged": FindingKind("销毁未入日志", "标为已销毁，而日志中没有相应事件。"),
    "merge_lost_rows": FindingKind(
        "合并行数不符", "合并前后的行数不一致。",
        {
            rf"It has {_N} rows; the segments that it replaces had {_N}\.":
                "该段有 {0} 行；被其取代的封存段合计 {1} 行。",
        },
    ),
    "replaced_twice": FindingKind(
        "重复取代", "同一封存段被取代两次。",
        {r"It replaces (.+), as (.+) does\.": "它取代 {0}，而 {1} 亦然。"},
    ),
    "image_unknown": FindingKind("未知行映像", "事件记载了本程序不认识的行。"),
    "payload_unlogged": FindingKind("附带行未入日志", "事件旁有日志从未记载的行。"),
    "shape_changed": FindingKind("列定义被更改", "其列与名称所由来者不符。"),
    "shape_missing": FindingKind("列定义缺失", "事件所述的列无从得知。"),
    "table_missing": FindingKind(
        "表缺失", "事件所述的表不存在。",
        {rf"Events speak of {_N} subjects in it\.": "事件记载其中有 {0} 个对象，而表不存在。"},
    ),
    "row_unlogged": FindingKind("行未入日志", "没有事件记载这些行。"),
    "row_changed": FindingKind("行被更改", "行与最后一个相关事件所记不符。"),
    "log_length": FindingKind(
        "日志长度不符", "叶节点数与最新检查点不符。",
        {rf"It has {_N} leaves, its newest checkpoint {_N}\.": "日志有 {0} 个叶节点，最新检查点为 {1}。"},
    ),
    "checkpoint_contradicted": FindingKind("检查点矛盾", "日志条目与其检查点不符。"),
    "checkpoint_refused": FindingKind("检查点未通过验证", "检查点的签名或格式未通过验证。"),
    "log_rolled_back": FindingKind(
        "日志被回退", "第二保管人所见多于本库日志。",
        {
            rf"The custodian has seen {_N} entries, the archive's log holds {_N}\.":
                "第二保管人见过 {0} 条，本库日志仅有 {1} 条。",
        },
    ),
    "log_forked": FindingKind("日志分叉", "第二保管人持有另一历史：日志被改写。"),
    "witness_refused": FindingKind("见证未通过验证", "第二保管人的见证未通过验证。"),
    "custodian_stranger": FindingKind("保管人不识", "第二保管人从未见过本日志，或同时持有其他日志。"),
    "custodian_unreachable": FindingKind("保管人不可达", "未能联系第二保管人。"),
    # retention
    "early": FindingKind(
        "提前销毁", "在期限届满之前销毁或不可读。",
        {
            r"It went on (\S+); its plan says (\S+)\.": "于 {0} 销毁；计划所载可销毁日为 {1}。",
            r"It went on (\S+); (.+) kept it to (\S+) at least\.": "于 {0} 销毁；依“{1}”，至少应保存至 {2}。",
            rf"{_N} of (\S+) (\S+) went on (\S+); what the archive had of them by then kept them to (\S+) at least\.":
                "{2} 的 {1} 类中有 {0} 个订单、商家或直播于 {3} 销毁；当时留存库中其较晚的记录表明，至少应保存至 {4}。",
            rf"{_N} of (\S+) (\S+) went on (\S+) and had not ended\.":
                "{2} 的 {1} 类中有 {0} 个订单、商家或直播于 {3} 销毁，而当时尚未完结。",
            r"(\S+) went on (\S+); the plan says (\S+)\.": "{0} 于 {1} 销毁；计划所载可销毁日为 {2}。",
            r"(\S+) went on (\S+); (.+) kept it to (\S+) at least\.": "{0} 于 {1} 销毁；依“{2}”，至少应保存至 {3}。",
            r"Its object (\S+) is gone without a certificate\.": "其对象 {0} 已不存在，且无销毁证明。",
            r"Its key (\S+) is destroyed or missing: it cannot be read\.": "其密钥 {0} 已销毁或缺失，无法读取。",
            rf"The key (\S+) of {_N} of (\S+) is destroyed or missing\.": "{2} 类 {1} 项所用密钥 {0} 已销毁或缺失。",
        },
    ),
    "late": FindingKind(
        "超期未销毁", "应已销毁而仍保存，请制订销毁计划。",
        {
            rf"{_N} records of (\S+) (.*) should have been gone by (\S+); plan a purge\.":
                "{1} 类 {2} 的 {0} 条记录应于 {3} 前销毁；请制订销毁计划。",
        },
    ),
    "kept_past_ceiling": FindingKind(
        "有理由的超期", "已过上限，因故保存。",
        {r"Past (\S+), kept for a reason: (.+)\.": "已过 {0}，因故保存：{1}。"},
    ),
    "vanished": FindingKind("去向不明", "日志中有，而目录既未保存也未记载销毁。"),
    "object_returned": FindingKind(
        "对象复现", "该封存段已销毁，其对象又出现。",
        {
            r"It was destroyed, and its object (\S+) is there again\. .+":
                "该封存段已销毁，其对象 {0} 又出现；无密钥不可读，请删除并查明何人放回。",
        },
    ),
    "destroyed_without_purge": FindingKind(
        "无计划销毁", "未经计划、批准或证明即被取出。",
        {rf"{_N} of (\S+) went by no such purge\.": "{1} 类 {0} 项的销毁没有对应的计划。"},
    ),
    "one_person": FindingKind(
        "单人销毁", "该销毁没有具备账号的第二人。",
        {
            r"The purge of (\S+) had no second person with an account\.": "{0} 类的销毁没有具备账号的第二人。",
            r"The purge (\S+) had no second person with an account\.": "销毁 {0} 没有具备账号的第二人。",
        },
    ),
    "policy_under_floor": FindingKind("期限低于底线", "该留存期限低于法律或许可证的底线。"),
    "certificate_refused": FindingKind("证明未通过验证", "销毁证明未通过验证。"),
    "certificate_differs": FindingKind(
        "证明不符", "销毁证明与实际销毁数量不符。",
        {
            rf"It names {_N} records; {_N} were destroyed\.": "证明载明 {0} 条记录，实际销毁 {1} 条。",
            r"It says that (\S+) had run out on (\S+); the plan says otherwise now\.":
                "证明载明 {0} 于 {1} 到期，现在的计划所载不同。",
        },
    ),
    "silent_orders": FindingKind(
        "无消息订单", "有未完结订单长期无消息，见 `liucun retention silent`。",
        {
            rf"{_N} open orders without news for {_N} days, since (\S+) at the earliest: .+":
                "{0} 个未完结订单 {1} 天无消息，最早自 {2} 起：`liucun retention silent` 列出。",
        },
    ),
    "purge_waits": FindingKind(
        "销毁待继续", "销毁尚未完成，`liucun purge` 继续。",
        {
            r"It is running: .+": "销毁进行中而未完成：`liucun purge` 继续。",
            r"It is approved: .+": "销毁已批准且等待期已过：`liucun purge` 继续。",
        },
    ),
    "request_overdue": FindingKind(
        "个人请求逾期", "个人请求逾期未答复。",
        {
            rf"{word}, due on (\S+), is not answered\.": f"{name}请求应于 {{0}} 前答复，尚未答复。"
            for word, name in (("access", "查阅"), ("copy", "复制"), ("correction", "更正"), ("deletion", "删除"))
        },
    ),
    # keys
    "key_unknown": FindingKind(
        "密钥不明", "封存段所用密钥不在密钥库中。",
        {
            rf"{_N} segments are sealed with it; the store has no such key\.":
                "{0} 个封存段由其密封，而密钥库中没有该密钥。",
        },
    ),
    "backup_may_hold_key": FindingKind(
        "备份或存旧密钥", "此前的密钥库备份可能仍含其密钥。",
        {
            r"Backups of the store of keys made before may hold its keys until (\S+)\.":
                "此前的密钥库备份在 {0} 之前可能仍含其密钥。",
        },
    ),
    "key_returned": FindingKind("密钥复现", "该密钥已凭证明销毁，现又存在：请运行 `liucun purge --reshred`。"),
    "key_past_period": FindingKind(
        "密钥超期", "密钥存续超过其所需。",
        {
            r"It seals nothing, and (\S+) of (\S+) are over\.": "它不再密封任何内容，{1} 的 {0} 已届满。",
            r"All that it seals should have been gone by (\S+); plan a purge\.":
                "它所密封的内容应于 {0} 前销毁；请制订销毁计划。",
        },
    ),
    "key_lost": FindingKind(
        "密钥丢失", "归档中有封存段因缺少该密钥而无法读取。",
        {rf"{_N} segments in the archive cannot be read without it\.": "归档中 {0} 个封存段因缺少该密钥而无法读取。"},
    ),
    "key_destroyed_unrecorded": FindingKind(
        "密钥销毁无记录", "该密钥的销毁没有对应的销毁计划。",
        {r"It was destroyed at (\S+) by no purge\.": "于 {0} 销毁，没有对应的销毁计划。"},
    ),
    "key_twice": FindingKind(
        "多把有效密钥", "同一类别与月份有多把有效密钥。",
        {rf"(\S+) (\S+) has {_N} living keys\.": "{0} {1} 有 {2} 把有效密钥。"},
    ),
    # access
    "first_query": FindingKind("首次查询", "该账号在此前从未查询。"),
    "no_purpose": FindingKind(
        "未写目的", "查询没有写明目的。",
        {
            r"(.+) asked on (.+) without a purpose on record\.": "{0} 于 {1} 查询，没有目的记录。",
            r"(.+) asked on (.+) without a purpose\.": "{0} 于 {1} 查询，未写明目的。",
        },
    ),
    "no_ground": FindingKind(
        "无法律依据", "查阅受限记录而没有法律依据。",
        {r"(.+) saw restricted records on (.+) without a legal ground\.": "{0} 于 {1} 查阅受限记录，没有法律依据。"},
    ),
    "no_outcome": FindingKind(
        "结果无记录", "查询没有结果记录。", {r"(.+)'s query has no outcome on record\.": "{0} 的查询没有结果记录。"}
    ),
    "many_rows": FindingKind(
        "大量结果", "结果行数远超该账号常态。",
        {
            rf"{_N} results of up to {_N} rows; half of its results have {_N}\.":
                "{0} 个结果最多达 {1} 行；其半数结果不超过 {2} 行。",
        },
    ),
    "at_night": FindingKind(
        "夜间查询", "查询多在夜间。",
        {rf"{_N} of {_N} queries between (\d+):00 and (\d+):00\.": "{1} 次查询中有 {0} 次在 {2}:00 至 {3}:00 之间。"},
    ),
    "burst": FindingKind(
        "集中查询", "短时间内大量查询。", {rf"{_N} queries within one hour\.": "一小时内查询 {0} 次。"}
    ),
    "restricted_seen": FindingKind(
        "查阅受限记录", "查阅了受限记录，依据均有记载。",
        {
            rf"{_N} queries of restricted records, each with its ground on record\.":
                "查阅受限记录 {0} 次，依据均有记载。",
        },
    ),
    "many_reveals": FindingKind(
        "大量查看未脱敏信息", "查看未脱敏个人信息远多于其他账号。",
        {
            rf"It saw personal data unmasked {_N} times; half of the accounts did up to {_N} times\.":
                "查看未脱敏个人信息 {0} 次；半数账号不超过 {1} 次。",
        },
    ),
    "record_changed": FindingKind(
        "记录被更改", "该查询的记录无法读取或未通过认证。",
        {r"The words of the query of (.+) on (.+) do not authenticate\.": "{0} 于 {1} 的查询内容未通过认证。"},
    ),
    "not_announced": FindingKind(
        "未先记录的查询", "查询未先记录即得到答复。",
        {r"(.+) got an answer to a query that was not recorded first\.": "{0} 的查询未先记录即得到答复。"},
    ),
    # samples
    "not_sampled": FindingKind(
        "未抽样", "未进行人工抽检。",
        {
            r"No sample of this day was drawn\.": "当日未抽样。",
            rf"No sample of these {_N} days was drawn\.": "这 {0} 天均未抽样。",
        },
    ),
    "not_reviewed": FindingKind(
        "未复核", "样本等待复核已久。",
        {rf"{_N} samples have waited over {_N} days\.": "{0} 个样本等待复核已超过 {1} 天。"},
    ),
    "missed": FindingKind("漏检", "机器放行而由人发现。"),
    # search index
    "indexing_late": FindingKind(
        "索引滞后", "索引落后于归档；`liucun worker` 是否在运行？",
        {
            rf"{_N} segments with {_N} records wait, since (\S+)\. .+":
                "{0} 个封存段共 {1} 条记录待索引，自 {2} 起；`liucun worker` 是否在运行？",
        },
    ),
    "documents_missing": FindingKind("索引缺少文档", "索引中的文档少于归档中的记录。"),
    "documents_surplus": FindingKind("索引多出文档", "索引中的文档多于归档中的记录。"),
    "documents_altered": FindingKind("索引文档被更改", "索引中的文档与归档不一致。"),
    "segment_not_indexed": FindingKind("封存段未索引", "索引遗漏了该封存段。"),
    "destroyed_still_indexed": FindingKind("已销毁仍在索引", "封存段已销毁，其文档仍在索引中。"),
    "restricted_still_indexed": FindingKind("受限仍在索引", "受限记录的文档仍在索引中。"),
    "orphan_documents": FindingKind("孤立文档", "索引中有不属于任何封存段的文档。"),
}  # fmt: skip
