"""The life of a ticket as an explicit state machine (REGULATIONS: 工单的一生).

``detected → triage → dismissed | confirmed → disposed → reported → acknowledged → closed``
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final


class State(StrEnum):
    """States of a ticket 工单状态."""

    DETECTED = "detected"
    TRIAGE = "triage"
    DISMISSED = "dismissed"
    CONFIRMED = "confirmed"
    DISPOSED = "disposed"
    REPORTED = "reported"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"
    REVERSED = "reversed"
    MERGED = "merged"
    """Side state: it goes on as part of another ticket."""

    @property
    def chinese(self) -> str:
        """Name for people."""
        return _CHINESE[self]


_CHINESE: Final[dict[State, str]] = {
    State.DETECTED: "待研判",
    State.TRIAGE: "研判中",
    State.DISMISSED: "已排除",
    State.CONFIRMED: "待处置",
    State.DISPOSED: "待上报",
    State.REPORTED: "已上报",
    State.ACKNOWLEDGED: "已回执",
    State.CLOSED: "已办结",
    State.REVERSED: "已撤销",
    State.MERGED: "已并案",
}


class Decision(StrEnum):
    """What a confirmed ticket is 定性."""

    ILLEGAL = "illegal"
    """违法: report within ten working days after disposal."""
    HARMFUL = "harmful"
    """不良: report to the competent authority, no fixed day (网络信息内容生态治理规定 art. 7, 10)."""
    VIOLATION = "violation"
    """违规: a rule of the platform, no report."""

    @property
    def chinese(self) -> str:
        """Name for people."""
        return {"illegal": "违法", "harmful": "不良", "violation": "违规"}[self.value]


class Measure(StrEnum):
    """Disposal measures 处置措施."""

    DELETE = "delete"
    MASK = "mask"
    WARN = "warn"
    LIMIT = "limit"
    SUSPEND = "suspend"
    CLOSE_ACCOUNT = "close_account"

    @property
    def chinese(self) -> str:
        """Name for people."""
        return {
            "delete": "删除",
            "mask": "屏蔽",
            "warn": "警示",
            "limit": "限制发布",
            "suspend": "暂停更新",
            "close_account": "关闭账号",
        }[self.value]


class Channel(StrEnum):
    """How content was discovered 发现渠道."""

    KEYWORD = "keyword"
    MODEL = "model"
    HUMAN = "human"
    COMPLAINT = "complaint"
    AUTHORITY = "authority"
    ENGINE = "engine"

    @property
    def chinese(self) -> str:
        """Name for people."""
        return {
            "keyword": "关键词",
            "model": "模型识别",
            "human": "人工巡查",
            "complaint": "用户举报",
            "authority": "主管部门通知",
            "engine": "图像、视频或音频识别",
        }[self.value]


TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    State.DETECTED: frozenset({State.TRIAGE, State.DISMISSED, State.CONFIRMED, State.MERGED}),
    State.TRIAGE: frozenset({State.DETECTED, State.DISMISSED, State.CONFIRMED, State.MERGED}),
    State.DISMISSED: frozenset({State.TRIAGE, State.DETECTED}),
    State.CONFIRMED: frozenset({State.DISPOSED, State.TRIAGE, State.DETECTED, State.MERGED}),
    State.DISPOSED: frozenset({State.REPORTED, State.CLOSED, State.REVERSED}),
    State.REPORTED: frozenset({State.ACKNOWLEDGED, State.DISPOSED, State.REVERSED}),
    State.ACKNOWLEDGED: frozenset({State.CLOSED, State.REVERSED}),
    State.CLOSED: frozenset({State.REVERSED}),
    State.REVERSED: frozenset(),
    State.MERGED: frozenset({State.DISMISSED, State.CLOSED, State.REVERSED}),
}
"""From a state to the states that may follow. A rejected report goes back to ``disposed`` with its original date;
what was merged ends as the ticket that took it in does."""

TO_DISPOSE: Final = (State.DETECTED, State.TRIAGE, State.CONFIRMED)
"""First part of the queue: nothing was done yet about the content."""
TO_REPORT: Final = (State.DISPOSED,)
"""Second part: the ten working days run."""
DISPOSED: Final = (State.DISPOSED, State.REPORTED, State.ACKNOWLEDGED, State.CLOSED)
"""Something was done to the content, and stands."""
OPEN: Final = (*TO_DISPOSE, *TO_REPORT, State.REPORTED, State.ACKNOWLEDGED)
EXTENDABLE: Final = (*TO_DISPOSE, State.DISMISSED)
"""States in which new findings of the same content join the ticket; later ones open a linked ticket."""


class Waits(StrEnum):
    """What tickets wait for, beside their state."""

    POLICE = "police"
    APPROVAL = "approval"
    APPEAL = "appeal"
    CORRECTION = "correction"


class Part(IntEnum):
    """Parts of the queue: what is to be disposed of always stands before what is to be reported."""

    DISPOSE = 0
    REPORT = 1
    REST = 2


def part_of(state: State, *, unacknowledged: bool = False) -> Part:
    """The part a ticket stands in; a disposal that the platform never acknowledged is still to be disposed of."""
    if state in TO_DISPOSE or (state in TO_REPORT and unacknowledged):
        return Part.DISPOSE
    return Part.REPORT if state in TO_REPORT else Part.REST
