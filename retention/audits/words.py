"""What people read of audits: titles, claims, names of figures. Chinese first, English beside."""

from __future__ import annotations

from typing import Final

TITLES: Final = {
    "coverage": (
        "完整性覆盖审计",
        "Coverage",
        "每个来源的每一个偏移量在归档中恰好出现一次。",
        "Every offset of every source is archived exactly once.",
    ),
    "integrity": (
        "数据真实性审计",
        "Integrity",
        "每个封存段与封存时逐位一致。",
        "Every segment is, bit for bit, what was sealed.",
    ),
    "retention": (
        "留存期限审计",
        "Retention",
        "没有记录提前销毁,也没有记录无故超期保存。",
        "Nothing went before its time, and nothing stays past it without a reason.",
    ),
    "access": ("查询访问审计", "Access", "谁、为何、查询了什么、多少行。", "Who asked what, why, and how many rows."),
    "keys": (
        "密钥审计",
        "Keys",
        "每个密钥存续恰如其所需,不多也不少。",
        "Every key lives as long as it must, and no longer.",
    ),
    "samples": (
        "人工抽检审计",
        "Human samples",
        "机器放行的内容每日随机抽样,由人复核;漏检率及其置信区间。",
        "Of what the detectors passed, random daily samples were looked at by people: the miss rate and its interval.",
    ),
    "index": (
        "检索索引审计",
        "Search index",
        "检索索引与留存库逐条一致,已销毁与限制处理的内容不在其中。",
        "The search index agrees with the archive record for record, and has forgotten what it must.",
    ),
}
"""Chinese and English title, claim in Chinese and in English, by audit."""

CHECKED: Final = {
    "sources": "来源 sources",
    "partitions": "分区 partitions",
    "batches": "批次 batches",
    "records": "记录 records",
    "skipped_lines": "表头与空行 headers and blank lines",
    "source_bytes": "来源字节 source bytes",
    "segments": "封存段 segments",
    "days_uncounted": "未计入日历的封存段 segments not in the calendar yet",
    "objects": "存储对象 objects",
    "verified": "已验证封存段 segments verified",
    "rows": "记录 records",
    "bytes": "密文字节 sealed bytes",
    "of": "应验证封存段 segments to verify",
    "sample": "随机抽样 random sample",
    "queries": "查询 queries",
    "answered": "已答复 answered",
    "failed": "未成功 failed",
    "accounts": "账号 accounts",
    "rows_returned": "返回行数 rows returned",
    "keys": "密钥 keys",
    "living": "有效 living",
    "destroyed": "已销毁 destroyed",
    "needed": "仍在使用 in use",
    "units": "留存单元 units kept",
    "destroyed_segments": "已销毁封存段 destroyed segments",
    "destroyed_records": "已销毁记录 destroyed records",
    "ends_compared": "以留存记录核对完结日的订单等 orders and the like compared with what is left of them",
    "certificates": "销毁证明 certificates of destruction",
    "tickets_without_texts": "文本已销毁的工单 tickets whose texts were destroyed",
    "report: emptied": "内容已销毁的上报 reports whose content was destroyed",
    "message: emptied": "内容已销毁的外发消息 messages whose content was destroyed",
    "duty: emptied": "内容已销毁的义务事项 duties whose content was destroyed",
    "disclosure: emptied": "内容已销毁的数据提供 disclosures whose content was destroyed",
    "silent_orders": "无消息订单 orders without news",
    "listings: on_sale": "在售商品信息 listings on sale",
    "listings: never_sold": "已下架从未成交的商品信息 listings down and never sold",
    "listings: sold": "已下架有成交的商品信息 listings down and sold",
    "listings: waiting": "待订单完结的商品信息 listings down and waiting for orders",
    "restricted_queries": "受限查询 queries of restricted records",
    "exports": "个人副本 copies for persons",
    "log_entries": "透明日志条目 log entries",
    "log_unsequenced": "待编号 waiting for a number",
    "log_checkpoints": "签名检查点 signed checkpoints",
    "log_witnessed": "第二保管人已见 seen by the custodian",
    "imaged_rows": "工单等行 rows of tickets and the like",
    "offsets_without_message": "无消息的偏移量 offsets without a message",
    "time_gaps": "时间缺口 time gaps",
    "article15_monitored": "九类信息中已监测 of the nine kinds monitored",
    "revealed": "查看未脱敏信息 personal data looked at",
    "disclosures_served": "向主管部门提供 disclosures handed out",
    "documents": "文档 documents",
    "compared_documents": "逐条核对的文档 documents compared",
    "compared_segments": "逐条核对的封存段 segments compared",
    "unindexed_segments": "待索引封存段 segments not indexed yet",
    "unindexed_seconds": "最早待索引已等待秒数 seconds that the oldest waits",
    "days_sampled": "抽样天数 days sampled",
    "drawn": "已抽样 drawn",
    "reviewed": "已复核 reviewed",
    "missed": "漏检 missed",
    "waiting": "待复核 waiting",
    "passed_texts": "机器放行文本 texts passed by the detectors",
    "covered": "漏检率所涵盖的文本 texts that the rate speaks of",
    "miss_rate": "漏检率 miss rate",
    "interval": "95% 置信区间 95 % confidence interval",
}
"""What ``checked`` counts, in words; what is not here says itself."""

COUNTED: Final = {
    "event_time": "事件时间 event",
    "ingest_time": "入库 ingest",
    "transaction_completion": "交易完成 completion of the transaction",
    "seller_exit": "商家退出 exit of the seller",
    "stream_end": "直播结束 end of the stream",
    "ticket_closure": "工单办结 closure of the ticket",
}
"""The days that periods count from, in words."""

PLACES: Final = {
    "source": "来源", "segment": "封存段", "unit": "销毁单元", "key": "密钥", "purge": "销毁", "query": "查询",
    "account": "账号", "ticket": "工单", "day": "日期", "days": "日期", "policy": "留存策略", "request": "个人请求",
    "content_type": "内容类型", "article15": "第十五条第", "event": "事件", "log": "透明日志", "archive": "归档",
    "retention": "留存", "review": "人工抽检",
}  # fmt: skip
"""What the places that findings name are called."""

LASTING: Final = {"system:bodies": "数据库密封字段", "system:log": "透明日志"}
"""Classes of keys that belong to no class of records."""
