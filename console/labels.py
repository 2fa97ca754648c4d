"""Names that people see for what the program keeps as words: states, categories, roles; events and fields beside."""

from __future__ import annotations

from typing import Final

from console.i18n import mark as _
from console.labels_events import EVENTS
from console.labels_fields import FIELDS
from console.labels_trail import DETAILS_OF_EVENTS
from retention.crypto import bodies
from retention.schema import RecordClass

__all__ = ["DETAILS_OF_EVENTS", "EVENTS", "FIELDS"]

STATES: Final = {
    "detected": _("待研判"),
    "triage": _("研判中"),
    "dismissed": _("已排除"),
    "confirmed": _("待处置"),
    "disposed": _("待上报"),
    "reported": _("已上报"),
    "acknowledged": _("已回执"),
    "closed": _("已办结"),
    "reversed": _("已撤销"),
    "merged": _("已并案"),
}

STATE_TONES: Final = {
    "detected": "warn",
    "triage": "info",
    "confirmed": "bad",
    "disposed": "warn",
    "reported": "info",
    "acknowledged": "good",
}
"""Colour beside the word; a state is never told by colour alone."""

DECISIONS: Final = {"illegal": _("违法"), "harmful": _("不良"), "violation": _("违规")}

WAITS: Final = {
    "police": _("报公安机关"),
    "approval": _("另一人复核"),
    "appeal": _("申诉决定"),
    "correction": _("更正报告"),
}

MEASURES: Final = {
    "delete": _("删除"),
    "mask": _("屏蔽"),
    "warn": _("警示"),
    "limit": _("限制发布"),
    "suspend": _("暂停更新"),
    "close_account": _("关闭账号"),
}

CATEGORIES: Final = {
    "gambling": _("赌博"),
    "pornography": _("淫秽色情"),
    "abuse": _("侮辱谩骂"),
    "fraud": _("诈骗"),
    "illicit_advertising": _("违法广告"),
    "drugs": _("毒品"),
    "weapons": _("枪支武器"),
    "incitement": _("教唆煽动"),
    "prohibited_goods": _("违禁物品"),
    "contact_diversion": _("站外引流"),
    "article15_1": _("第十五条（一）反对宪法基本原则"),
    "article15_2": _("第十五条（二）危害国家安全"),
    "article15_3": _("第十五条（三）损害国家荣誉"),
    "article15_4": _("第十五条（四）煽动民族仇恨"),
    "article15_5": _("第十五条（五）破坏宗教政策"),
    "article15_6": _("第十五条（六）散布谣言"),
}

SEVERITIES: Final = {1: _("低"), 2: _("中"), 3: _("高"), 4: _("特高")}

ROLES: Final = {
    "reviewer": _("审核员"),
    "security_admin": _("安全管理员"),
    "auditor": _("审计员"),
    "system_admin": _("系统管理员"),
    "compliance_head": _("合规负责人"),
    "collector": _("采集程序"),
}

CLASSES: Final[dict[str, str]] = {
    RecordClass.USER_LOG.value: _("用户日志"),
    RecordClass.TRANSACTION.value: _("交易"),
    RecordClass.CONTENT.value: _("发布内容"),
    RecordClass.SELLER_IDENTITY.value: _("商家身份"),
    RecordClass.LIVE_INDEX.value: _("直播索引"),
    RecordClass.EVIDENCE.value: _("证据"),
    RecordClass.UNPARSED.value: _("未能解析"),
    bodies.TEXTS: _("工单文本"),
    bodies.REPORTS: _("上报内容"),
    bodies.MESSAGES: _("外发消息"),
    bodies.DUTIES: _("义务与评估"),
    bodies.DISCLOSURES: _("数据提供记录"),
}

CHANNELS: Final = {
    "keyword": _("关键词"),
    "model": _("模型识别"),
    "human": _("人工巡查"),
    "complaint": _("用户举报"),
    "authority": _("主管部门通知"),
    "engine": _("图像、视频或音频识别"),
}

CONTENT_TYPES: Final = {
    "text": _("文字"),
    "image": _("图片"),
    "audio": _("音频"),
    "video": _("视频"),
    "live": _("直播"),
    "link": _("链接"),
    "file": _("文件"),
}

RECIPIENTS: Final = {"telecom": _("电信主管部门"), "police": _("公安机关"), "cyberspace": _("网信部门")}

REPORT_STATES: Final = {
    "draft": _("草稿"),
    "approved": _("已批准"),
    "submitted": _("已报送"),
    "acknowledged": _("已回执"),
    "rejected": _("被退回"),
    "withdrawn": _("已撤回"),
}
REPORT_TONES: Final = {
    "draft": "warn",
    "approved": "info",
    "submitted": "info",
    "acknowledged": "good",
    "rejected": "bad",
}

DUTIES: Final = {
    "incident": _("网络安全事件报告"),
    "incident_summary": _("网络安全事件总结"),
    "data_leak": _("个人信息泄露通知"),
    "assessment": _("新技术新业务评估报告"),
    "change_filing": _("变更备案"),
    "renewal": _("许可证续期"),
    "annual_report": _("年报"),
    "complaint_reply": _("投诉答复"),
    "security_test": _("等级测评与风险评估"),
    "licence_shown": _("许可证编号展示核对"),
}

LINKS: Final = {
    "text": _("相同文本"),
    "near": _("近似文本"),
    "account": _("同一账号"),
    "follows": _("同一内容"),
    "merged": _("并案"),
    "linked": _("人工关联"),
}

DETAILS: Final = {"url": _("链接"), "reference": _("举报或通知编号"), "engine": _("识别引擎"), "by": _("立案人")}
"""What was said besides when a ticket was opened by hand."""

DISCLOSURE_STATES: Final = {
    "requested": _("待批准"),
    "approved": _("已批准"),
    "refused": _("已拒绝或停止"),
    "expired": _("已过期"),
}
DISCLOSURE_TONES: Final = {"requested": "warn", "approved": "good", "refused": "bad"}

RULE_STATES: Final = {"live": _("生效"), "shadow": _("试运行"), "draft": _("停用")}

CHECKED: Final = {
    "sources": _("来源"),
    "partitions": _("分区"),
    "batches": _("批次"),
    "records": _("记录"),
    "skipped_lines": _("表头与空行"),
    "source_bytes": _("来源字节"),
    "segments": _("封存段"),
    "objects": _("存储对象"),
    "verified": _("已验证"),
    "rows": _("行"),
    "bytes": _("密文字节"),
    "of": _("总数"),
    "sample": _("随机抽样"),
    "log_entries": _("透明日志条目"),
    "log_unsequenced": _("未编号条目"),
    "log_checkpoints": _("检查点"),
    "log_witnessed": _("第二保管人已见"),
    "imaged_rows": _("已核对的行"),
    "time_gaps": _("时间缺口"),
    "article15_monitored": _("九类信息中已监测"),
    "queries": _("查询"),
    "answered": _("已答复"),
    "failed": _("未成功"),
    "accounts": _("账号"),
    "rows_returned": _("返回行数"),
    "restricted_queries": _("受限查询"),
    "revealed": _("查看未脱敏信息"),
    "exports": _("个人信息副本"),
    "disclosures_served": _("向主管部门提供"),
    "keys": _("密钥"),
    "living": _("有效"),
    "destroyed": _("已销毁"),
    "needed": _("在用"),
    "units": _("留存单元"),
    "destroyed_segments": _("已销毁封存段"),
    "destroyed_records": _("已销毁记录"),
    "ends_compared": _("以留存记录核对完结日的订单等"),
    "certificates": _("销毁证明"),
    "silent_orders": _("无消息订单"),
    "days_uncounted": _("尚未统计的封存段"),
    "documents": _("文档"),
    "compared_documents": _("逐条核对的文档"),
    "compared_segments": _("逐条核对的封存段"),
    "unindexed_segments": _("待索引封存段"),
    "unindexed_seconds": _("最早待索引已等待秒数"),
    "days_sampled": _("抽样天数"),
    "drawn": _("已抽样"),
    "reviewed": _("已复核"),
    "missed": _("漏检"),
    "waiting": _("待复核"),
    "passed_texts": _("机器放行文本"),
    "covered": _("漏检率所涵盖的文本"),
    "miss_rate": _("漏检率"),
    "interval": _("95% 置信区间"),
}

AUDITS: Final = {
    "coverage": (_("完整性审计"), _("每个来源的每一个偏移量在归档中恰好出现一次。")),
    "integrity": (_("真实性审计"), _("每个封存段与封存时逐位一致。")),
    "retention": (_("留存期限审计"), _("没有记录提前销毁，也没有记录无故超期保存。")),
    "keys": (_("密钥审计"), _("每个密钥存续恰如其所需，不多也不少。")),
    "access": (_("查询访问审计"), _("谁、为何、查询了什么、多少行。")),
    "samples": (_("人工抽检审计"), _("机器放行的内容每日随机抽样，由人复核。")),
    "index": (_("检索索引审计"), _("检索索引与留存库逐条一致，已销毁与限制处理的内容不在其中。")),
}

OUTCOMES: Final = {
    "passed": _("通过"),
    "nothing_to_check": _("没有可检查的内容"),
    "faults": _("发现问题"),
}

PERMISSIONS: Final = {
    "overview.read": _("查看总览"),
    "queue.read": _("查看队列"),
    "content.read": _("查看工单内容（脱敏）"),
    "content.read_for_purpose": _("说明用途后查看内容"),
    "personal.reveal": _("说明理由后查看未脱敏信息"),
    "tickets.open": _("人工立案"),
    "tickets.work": _("研判与处置"),
    "tickets.assign": _("转派他人的工单"),
    "tickets.approve": _("上报、回执、申诉"),
    "rules.read": _("查看规则"),
    "rules.work": _("回测规则、训练与启用模型"),
    "audit.read": _("查看归档审计"),
    "audit.run": _("执行归档审计"),
    "events.read": _("查看操作记录"),
    "archive.query": _("说明用途后用 SQL 查询留存库"),
    "archive.query_restricted": _("凭法律依据查询限制处理的记录"),
    "archive.operate": _("运行与维护留存库"),
    "retention.read": _("查看留存策略与销毁"),
    "retention.propose": _("提议留存期限"),
    "retention.approve": _("批准留存期限"),
    "holds.read": _("查看保全"),
    "holds.place": _("设置保全"),
    "holds.release": _("解除保全"),
    "destruction.plan": _("计划销毁"),
    "destruction.approve": _("批准销毁"),
    "persons.read": _("查看限制处理与个人权利请求"),
    "persons.work": _("限制处理、登记与答复个人权利请求"),
    "persons.export": _("导出个人数据副本"),
    "restrictions.lift": _("解除限制处理"),
    "keys.read": _("查看密钥清单"),
    "keys.manage": _("轮换、托管与销毁密钥"),
    "reports.read": _("查看报告"),
    "reports.prepare": _("编制报告"),
    "reports.approve": _("审批报告"),
    "duties.read": _("查看义务事项"),
    "duties.work": _("办理义务事项"),
    "calendar.change": _("更换工作日历"),
    "disclosures.read": _("查看数据提供申请"),
    "disclosures.request": _("申请向主管部门提供数据"),
    "disclosures.approve": _("批准向主管部门提供数据"),
    "disclosures.hand_out": _("导出数据包、签发接口密钥"),
    "logs.write": _("送交日志"),
    "accounts.read": _("查看账号"),
    "accounts.manage": _("管理账号"),
    "roles.grant": _("授予角色"),
}

ERRORS: Final = {
    "TransitionError": _("工单的当前状态不允许这一步。"),
    "HeldError": _("工单已由他人领取。请先接手（说明理由），或留给领取人。"),
    "TicketChangedError": _("就在刚才，有人改动了这张工单。请看过最新状态后再试。"),
    "TicketUnknownError": _("没有这个编号的工单。"),
    "NothingChosenError": _("没有选中任何工单，什么都没有改动。请勾选工单，或换一组筛选条件。"),
    "SecondPersonError": _("这一步需要另一个人：任何人都不能审批自己的决定。"),
    "SignInFailedError": _("用户名、口令或动态口令不正确，或者账号暂时被锁定。"),
    "SignInRequiredError": _("请先登录。"),
    "ForbiddenError": _("您的账号没有这项权限。"),
    "CsrfError": _("表单已过期或不是从本站提交的，没有做任何改动。请重新打开页面再试。"),
    "WeakPasswordError": _(
        "口令不符合要求：至少 12 位且含大写、小写、数字、符号中的三类，或至少 20 位；不得含用户名，不得常见或重复。"
    ),
    "DisclosureScopeError": _("申请内容不完整或超出允许的范围，没有提交。"),
    "DisclosureUnknownError": _("没有这个编号的数据提供申请或密钥。"),
    "DisclosureStateError": _("申请的当前状态不允许这一步：须先由两人批准，且未过期、未被停止。"),
    "AccountUnknownError": _("没有这个账号。"),
    "AccountError": _("账号不能这样设置。"),
    "SetupLinkError": _("初始化链接已失效。"),
    "TooManyRequestsError": _("请求过于频繁，请稍候再试。"),
    "SingleSignOnError": _("单点登录没有成功。"),
    "PageUnknownError": _("没有这个页面。"),
    "BusyError": _("系统正忙，没有做任何改动。请再试一次。"),
    "UsageError": _("填写的内容有误。"),
    "NotPermittedError": _("您的账号没有这项权限。"),
    "StorageError": _("存储出现故障。"),
    "IntegrityError": _("数据未通过真实性校验。"),
    "KeyAccessError": _("密钥不可用。"),
}
"""A sentence in the reader's language for a class of errors (or the nearest class above it)."""


def error_text(error: Exception) -> str:
    """The sentence for an error, in Chinese, for translation."""
    for cls in type(error).__mro__:
        if cls.__name__ in ERRORS:
            return ERRORS[cls.__name__]
    return _("出现错误。")
