"""What the clocks warn of: deadlines of reports, of the police, of duties and of persons' requests, the calendar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import timestamp
from retention.persons.requests import OPEN, Kind
from retention.persons.tables import person_requests
from tickets.calendar.working_days import WorkingCalendar
from tickets.clocks import SHANGHAI
from tickets.running import police_runs
from tickets.states import State
from tickets.steps.base import as_time
from tickets.tables import tickets as table
from tickets.tables_sending import duties

OVERDUE: Final = "overdue"
DAY_STEPS: Final = ((1, "day9"), (2, "day8"), (5, "day5"))
"""Working days left and the warning of it: days 9, 8 and 5 of ten."""
HOUR_STEPS: Final = ((1, "1h"), (6, "6h"))
REQUEST_STEPS: Final = ((1, "1d"), (7, "7d"))
DUTY_STEPS: Final = ((1, "1d"), (7, "7d"), (30, "30d"))
SERIOUS: Final = frozenset({"day9", "1h", OVERDUE, "1d", "silent"})


@dataclass(frozen=True, slots=True)
class ClockWarning:
    """A warning of a clock, given once for each ``subject``, ``clock`` and ``step``; ``line`` says it to people."""

    subject: str
    clock: str
    step: str
    line: str

    @property
    def is_serious(self) -> bool:
        """Whether those are told, too, who are told only when it is serious."""
        return self.step in SERIOUS


class Nearing:
    """The warnings that there are at ``now`` (UTC), given before or not."""

    def __init__(self, catalogue: Catalogue, calendar: WorkingCalendar, now: datetime) -> None:
        self.catalogue = catalogue
        self.calendar = calendar
        self.now = now
        self.today = now.astimezone(SHANGHAI).date()

    def __iter__(self) -> Iterator[ClockWarning]:
        yield from self._reports_due()
        yield from self._police_due()
        yield from self._duties_due()
        yield from self._requests_due()
        yield from self._horizon()

    def _reports_due(self) -> Iterable[ClockWarning]:
        c = table.c
        horizon = timestamp(self.now + timedelta(days=30))
        with self.catalogue.read() as connection:
            rows = connection.execute(
                sa.select(c.ticket_id, c.due_on, c.due_at)
                .where(c.state == State.DISPOSED.value, c.due_at.is_not(None), c.due_at < horizon)
                .order_by(c.due_at)
            ).all()
        for row in rows:
            step = self._day_step(date.fromisoformat(row.due_on), row.due_at)
            if step:
                line = f"{row.ticket_id} 上报截止 {row.due_on}" + (" 已逾期 overdue" if step == OVERDUE else "")
                yield ClockWarning(f"ticket:{row.ticket_id}", "authority_report", step, line)

    def _police_due(self) -> Iterable[ClockWarning]:
        c = table.c
        with self.catalogue.read() as connection:
            rows = connection.execute(
                sa.select(c.ticket_id, c.police_due_at)
                .where(
                    *police_runs(c),
                    c.police_due_at < timestamp(self.now + timedelta(hours=6)),
                )
                .order_by(c.police_due_at)
            ).all()
        for row in rows:
            left = (as_time(row.police_due_at) - self.now).total_seconds() / 3600
            step = OVERDUE if left < 0 else next((name for hours, name in HOUR_STEPS if left <= hours), None)
            if step:
                line = f"{row.ticket_id} 公安报告截止 {_local(row.police_due_at)}"
                yield ClockWarning(f"ticket:{row.ticket_id}", "police_report", step, line)

    def _duties_due(self) -> Iterable[ClockWarning]:
        d = duties.c
        with self.catalogue.read() as connection:
            rows = connection.execute(
                sa.select(d.duty_id, d.clock, d.due_at, d.started_at).where(
                    d.state == "open", d.due_at < timestamp(self.now + timedelta(days=31))
                )
            ).all()
        for row in rows:
            left = as_time(row.due_at) - self.now
            quick = as_time(row.due_at) - as_time(row.started_at) < timedelta(days=2)
            if left < timedelta():
                step: str | None = OVERDUE
            elif quick:
                step = next((name for hours, name in HOUR_STEPS if left <= timedelta(hours=hours)), None)
            else:
                step = next((name for days, name in DUTY_STEPS if left <= timedelta(days=days)), None)
            if step:
                yield ClockWarning(
                    f"duty:{row.duty_id}", row.clock, step, f"{row.duty_id} {row.clock} {_local(row.due_at)}"
                )

    def _requests_due(self) -> Iterable[ClockWarning]:
        """Requests of persons about their data; the line names nobody."""
        q = person_requests.c
        with self.catalogue.read() as connection:
            if not sa.inspect(connection).has_table(person_requests.name):
                return
            last = (self.today + timedelta(days=REQUEST_STEPS[-1][0])).isoformat()
            rows = connection.execute(
                sa.select(q.request_id, q.kind, q.due_on)
                .where(q.state == OPEN, q.due_on <= last)
                .order_by(q.due_on, q.request_id)
            ).all()
        for row in rows:
            left = (date.fromisoformat(row.due_on) - self.today).days
            step = OVERDUE if left < 0 else next(name for days, name in REQUEST_STEPS if left <= days)
            line = f"{row.request_id} {Kind(row.kind).chinese} {row.kind} {row.due_on}"
            yield ClockWarning(f"request:{row.request_id}", "person_request", step, line)

    def _horizon(self) -> Iterable[ClockWarning]:
        """From 1 November while next year's calendar is missing, once a week."""
        missing = self.today.year + 1 if self.today.month >= 11 else self.today.year
        if self.calendar.verified_through.year < missing:
            year, week, _ = self.today.isocalendar()
            line = f"缺少 {missing} 年工作日历: liucun calendar import"
            yield ClockWarning(f"calendar:{missing}", "calendar", f"{year}w{week:02}", line)

    def _day_step(self, due_on: date, due_at: str) -> str | None:
        if due_at < timestamp(self.now):
            return OVERDUE
        left, day = 0, self.today
        while day < due_on and left <= DAY_STEPS[-1][0]:
            day += timedelta(days=1)
            left += self.calendar.is_working_day(day)
        return next((name for days, name in DAY_STEPS if left <= days), None)


def title_of(clock: str, step: str, count: int) -> str:
    """The heading of so many warnings of the same clock and step."""
    return f"{_CLOCK_NAMES.get(clock, clock)} {_STEP_NAMES.get(step, '')} ({count})"


_CLOCK_NAMES: Final = {
    "authority_report": "上报主管部门 report",
    "police_report": "公安报告 police report",
    "calendar": "工作日历 calendar",
    "incident": "网络安全事件 incident",
    "assessment": "评估报告 assessment",
    "change_filing": "变更备案 change filing",
    "renewal": "许可证续期 renewal",
    "annual_report": "年报 annual report",
    "complaint_reply": "投诉答复 complaint",
    "incident_summary": "事件总结 incident summary",
    "data_leak": "个人信息泄露 data leak",
    "security_test": "等级测评 security test",
    "licence_shown": "许可证编号展示 licence number shown",
    "person_request": "个人权利请求 request of a person",
    "source": "日志来源 log source",
}
_STEP_NAMES: Final = {
    "day5": "第5日 day 5",
    "day8": "第8日 day 8",
    "day9": "第9日 day 9",
    OVERDUE: "已逾期 overdue",
    "silent": "静默时间异常 silent longer than usual",
    "1h": "剩1小时 1 hour left",
    "6h": "剩6小时 6 hours left",
    "1d": "剩1天 1 day left",
    "7d": "剩7天 7 days left",
    "30d": "剩30天 30 days left",
}


def _local(text: str) -> str:
    return as_time(text).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")
