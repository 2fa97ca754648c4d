"""One engine for every clock of the law: immediate, hours, natural and working days, months, years, backward, window.

Days are dates in Asia/Shanghai. A day-based period ends at 24:00 of its last day, or
at the recipient's close of business (民法典 art. 203, by analogy). Natural-day periods
deliberately do not roll over holidays.
"""

from __future__ import annotations

import calendar as gregorian
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from errors import UsageError
from tickets.calendar.working_days import WorkingCalendar

SHANGHAI: Final = ZoneInfo("Asia/Shanghai")
CALENDAR_YEARS: Final = range(1900, 2200)
"""Years that a stated time may lie in: at the ends of what a date can be no zone shows it and no clock counts."""
CLOSE_OF_BUSINESS: Final = time(17, 0)
WARNING_DAYS: Final = (5, 8, 9)
"""Of ten working days, those on which a warning goes out."""


class ClockKind(StrEnum):
    """Kinds of clock 时限种类."""

    IMMEDIATE = "immediate"
    HOURS = "hours"
    NATURAL_DAYS = "natural_days"
    WORKING_DAYS = "working_days"
    MONTHS = "months"
    YEARS = "years"
    BACKWARD_DAYS = "backward_days"
    WINDOW = "window"


@dataclass(frozen=True, slots=True)
class Clock:
    """A rule: ``amount`` of ``kind`` after what ``trigger`` names, to ``recipient``, on a legal ``basis``.

    For IMMEDIATE ``amount`` is the target in minutes. For WINDOW, ``opens`` and ``shuts`` are (month, day).
    """

    name: str
    kind: ClockKind
    amount: int
    trigger: str
    recipient: str
    basis: str
    opens: tuple[int, int] = (1, 1)
    shuts: tuple[int, int] = (12, 31)


@dataclass(frozen=True, slots=True)
class Deadline:
    """When something must be done. ``days`` are the working days counted, empty for other kinds.

    ``opens`` is when a window begins, else None. ``provisional``: counted past the calendar's horizon.
    """

    clock: str
    due: datetime
    due_on: date
    days: tuple[date, ...] = ()
    provisional: bool = False
    calendar: str | None = None
    opens: datetime | None = None


TEN_WORKING_DAYS: Final = Clock(
    "authority_report",
    ClockKind.WORKING_DAYS,
    10,
    "effective_at",
    "电信主管部门",
    "许可证特别规定事项第9条: 处置后10个工作日内上报",
)
POLICE_REPORT: Final = Clock(
    "police_report", ClockKind.HOURS, 24, "confirmed_at", "公安机关", "计算机信息网络国际联网安全保护管理办法第十条(六)"
)
DISPOSAL: Final = Clock(
    "disposal", ClockKind.IMMEDIATE, 30, "detected_at", "内部", "互联网信息服务管理办法第十六条: 立即停止传输"
)
INCIDENT: Final = Clock(
    "incident", ClockKind.HOURS, 4, "occurred_at", "省级网信部门", "国家网络安全事件报告管理办法第四条"
)
ASSESSMENT: Final = Clock(
    "assessment", ClockKind.NATURAL_DAYS, 30, "assessed_on", "电信主管部门", "许可证特别规定事项第15(7)、16(8)条"
)
CHANGE_FILING: Final = Clock(
    "change_filing", ClockKind.NATURAL_DAYS, 30, "changed_on", "电信主管部门", "许可证特别规定事项第11条"
)
RENEWAL: Final = Clock(
    "renewal", ClockKind.BACKWARD_DAYS, 90, "licence_expires_on", "电信主管部门", "许可证特别规定事项第12条"
)
ANNUAL_REPORT: Final = Clock(
    "annual_report",
    ClockKind.WINDOW,
    0,
    "year",
    "电信主管部门",
    "许可证特别规定事项第14条",
    opens=(1, 1),
    shuts=(3, 31),
)
INCIDENT_SUMMARY: Final = Clock(
    "incident_summary",
    ClockKind.NATURAL_DAYS,
    30,
    "handled_on",
    "省级网信部门",
    "国家网络安全事件报告管理办法: 处置结束后30日内总结 (未核实 unverified)",
)
DATA_LEAK: Final = Clock(
    "data_leak",
    ClockKind.IMMEDIATE,
    60,
    "discovered_at",
    "履行个人信息保护职责的部门和个人",
    "个人信息保护法第五十七条",
)
"""The law says at once; the target in minutes is a choice."""
COMPLAINT_REPLY: Final = Clock(
    "complaint_reply",
    ClockKind.NATURAL_DAYS,
    15,
    "received_on",
    "投诉人",
    "许可证特别规定事项第5条 (15日未核实 unverified)",
)
SECURITY_TEST: Final = Clock(
    "security_test", ClockKind.YEARS, 1, "last_test_on", "电信主管部门", "许可证特别规定事项第6条: 三级以上每年一次"
)
LICENCE_SHOWN: Final = Clock(
    "licence_shown",
    ClockKind.MONTHS,
    3,
    "quarter_begins",
    "电信主管部门",
    "许可证特别规定事项第2条、第16(4)条: 每季核对(设计选择)",
)
DUTIES: Final = (
    INCIDENT,
    INCIDENT_SUMMARY,
    DATA_LEAK,
    ASSESSMENT,
    CHANGE_FILING,
    RENEWAL,
    ANNUAL_REPORT,
    COMPLAINT_REPLY,
    SECURITY_TEST,
    LICENCE_SHOWN,
)
"""Clocks of duties beside tickets."""
CLOCKS: Final = (
    TEN_WORKING_DAYS,
    POLICE_REPORT,
    DISPOSAL,
    *DUTIES,
)


def deadline(clock: Clock, start: datetime, calendar: WorkingCalendar, *, close: time | None = None) -> Deadline:
    """When ``clock`` runs out that ``start`` (aware) set going; ``close`` is the recipient's close of business.

    Raises:
        UsageError: ``start`` has no zone, or lies where no date can be counted.
    """
    if start.tzinfo is None:
        raise UsageError("A clock was started without a time zone.", cure="Give the time with its zone.")
    day = start.astimezone(SHANGHAI).date()
    try:
        match clock.kind:
            case ClockKind.IMMEDIATE:
                return _at(clock, start + timedelta(minutes=clock.amount))
            case ClockKind.HOURS:
                return _at(clock, start + timedelta(hours=clock.amount))
            case ClockKind.WORKING_DAYS:
                counted = calendar.count(day, clock.amount)
                due = end_of(counted.due, close)
                return Deadline(clock.name, due, counted.due, counted.days, counted.provisional, counted.calendar)
            case ClockKind.WINDOW:
                first, last = date(day.year, *clock.opens), date(day.year, *clock.shuts)
                opens = datetime.combine(first, time(), SHANGHAI)
                return Deadline(clock.name, end_of(last, close), last, opens=opens)
            case _:
                last = _last_day(clock, day)
                return Deadline(clock.name, end_of(last, close), last)
    except (OverflowError, ValueError) as error:
        raise UsageError(f"No deadline can be counted from {day}.", cure="Check the date.") from error


def given_time(moment: datetime) -> datetime:
    """A moment that somebody states, as UTC.

    Raises:
        UsageError: it has no zone, or lies beyond the calendar.
    """
    if moment.tzinfo is None:
        raise UsageError("The time has no zone.", cure="Give it with its zone.")
    if moment.year not in CALENDAR_YEARS:
        raise UsageError(f"The time {moment.isoformat()} lies beyond the calendar.", cure="Check its year.")
    return moment.astimezone(UTC)


def end_of(day: date, close: time | None = None) -> datetime:
    """24:00 of a Shanghai day, or the close of business on it, as UTC."""
    if close is not None:
        return datetime.combine(day, close, SHANGHAI).astimezone(UTC)
    return datetime.combine(day + timedelta(days=1), time(), SHANGHAI).astimezone(UTC)


def add_months(day: date, months: int) -> date:
    """The same day of a later month, or its last: a year from 2024-02-29 ends on 2025-02-28."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, gregorian.monthrange(year, month + 1)[1]))


def _last_day(clock: Clock, day: date) -> date:
    match clock.kind:
        case ClockKind.NATURAL_DAYS:
            return day + timedelta(days=clock.amount)
        case ClockKind.BACKWARD_DAYS:
            return day - timedelta(days=clock.amount)
        case ClockKind.MONTHS:
            return add_months(day, clock.amount)
        case _:
            return add_months(day, 12 * clock.amount)


def _at(clock: Clock, moment: datetime) -> Deadline:
    return Deadline(clock.name, moment.astimezone(UTC), moment.astimezone(SHANGHAI).date())
