"""Figures of the overview: ingest, storage, tickets by days left, findings over time, warnings."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from console.i18n import mark as _
from console.parts import Parts
from retention.catalogue.tables import batches, partitions, ranges, segments, timestamp
from retention.keys.administration import last_escrow
from retention.keys.provider import UNCERTIFIED
from tickets.calendar.working_days import WorkingCalendar
from tickets.clocks import SHANGHAI
from tickets.running import police_runs
from tickets.states import OPEN, Part, State
from tickets.tables import tickets

FINDING_DAYS: Final = 30
LOW_DISK: Final = 5 << 30
CALENDAR_ALARM: Final = (11, 1)
"""From this day on next year's calendar should be there."""


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A source: records in 24 hours and in all, when the last batch came, and what was planned and is not in yet."""

    source: str
    partitions: int
    records: int
    recent: int
    last: str | None
    waiting_bytes: int
    waiting_since: str | None


def sources(connection: sa.Connection, *, now: datetime | None = None) -> list[SourceLine]:
    """Every source that ever brought something, by name."""
    moment = now or datetime.now(UTC)
    b, p, r = batches.c, partitions.c, ranges.c
    recent = sa.case((b.committed_at >= timestamp(moment - timedelta(hours=24)), b.records), else_=0)
    come = {
        row.source: row
        for row in connection.execute(
            sa.select(
                b.source,
                sa.func.sum(b.records).label("records"),
                sa.func.sum(recent).label("recent"),
                sa.func.max(b.committed_at).label("last"),
            ).group_by(b.source)
        )
    }
    waiting = {
        row.source: row
        for row in connection.execute(
            sa.select(
                r.source,
                sa.func.sum(r.end - r.start).label("bytes"),
                sa.func.min(r.planned_at).label("since"),
            )
            .join(partitions, sa.and_(p.source == r.source, p.partition == r.partition))
            .where(r.end > p.cursor)
            .group_by(r.source)
        )
    }
    parts = connection.execute(sa.select(p.source, sa.func.count()).group_by(p.source).order_by(p.source)).all()
    return [
        SourceLine(
            name,
            count,
            int(come[name].records) if name in come else 0,
            int(come[name].recent) if name in come else 0,
            come[name].last if name in come else None,
            int(waiting[name].bytes) if name in waiting else 0,
            waiting[name].since if name in waiting else None,
        )
        for name, count in parts
    ]


@dataclass(frozen=True, slots=True)
class StorageLine:
    """What a class takes."""

    record_class: str
    segments: int
    rows: int
    bytes: int
    oldest: str | None


def storage(connection: sa.Connection) -> list[StorageLine]:
    """Segments, rows and bytes by class."""
    s = segments.c
    rows = connection.execute(
        sa.select(
            s.record_class,
            sa.func.count().label("n"),
            sa.func.sum(s.rows).label("rows"),
            sa.func.sum(s.bytes_stored).label("size"),
            sa.func.min(s.period).label("oldest"),
        )
        .group_by(s.record_class)
        .order_by(s.record_class)
    )
    return [StorageLine(row.record_class, row.n, int(row.rows), int(row.size), row.oldest) for row in rows]


def free_disk(parts: Parts) -> int:
    """Free bytes where the store lies."""
    return shutil.disk_usage(parts.root).free


@dataclass(frozen=True, slots=True)
class Work:
    """The queue in figures. ``left``: tickets to report by working days left (negative: overdue).

    ``police``: of which the police must still hear, ``police_late`` their hours being over; ``corrections``: of reports
    about what was reversed.
    """

    by_state: dict[str, int]
    to_dispose: int
    to_report: int
    past_target: int
    mine: int
    left: dict[int, int]
    undated: int
    provisional: int
    appeals: int
    approvals: int
    police: int
    police_late: int
    corrections: int


def work(connection: sa.Connection, calendar: WorkingCalendar, actor: str, *, now: datetime | None = None) -> Work:
    """Count the open tickets."""
    moment = now or datetime.now(UTC)
    today = moment.astimezone(SHANGHAI).date()
    c = tickets.c
    open_states = [state.value for state in OPEN]
    states = {row.state: row[1] for row in connection.execute(sa.select(c.state, sa.func.count()).group_by(c.state))}
    count = sa.select(sa.func.count()).select_from(tickets)

    def one(*conditions: sa.ColumnElement[bool]) -> int:
        return int(connection.execute(count.where(*conditions)).scalar_one())

    due = connection.execute(
        sa.select(c.due_on, sa.func.count()).where(c.part == int(Part.REPORT)).group_by(c.due_on)
    ).all()
    left: Counter[int] = Counter()
    for row in due:
        if row.due_on is not None:
            left[days_left(calendar, today, date.fromisoformat(row.due_on))] += row[1]
    return Work(
        by_state=states,
        to_dispose=one(c.part == int(Part.DISPOSE)),
        to_report=sum(row[1] for row in due),
        past_target=one(c.part == int(Part.DISPOSE), c.dispose_by < timestamp(moment)),
        mine=one(c.assignee == actor, c.state.in_(open_states)),
        left=dict(sorted(left.items())),
        undated=sum(row[1] for row in due if row.due_on is None),
        provisional=one(c.part == int(Part.REPORT), c.due_provisional.is_(True)),
        appeals=one(c.appealed_at.is_not(None)),
        approvals=one(c.pending.is_not(None)),
        police=one(*police_runs(c)),
        police_late=one(*police_runs(c), c.police_due_at < timestamp(moment)),
        corrections=one(c.state == State.REVERSED.value, c.correction_needed.is_(True)),
    )


def days_left(calendar: WorkingCalendar, today: date, due: date) -> int:
    """Working days after today up to the due date; 0 is today, negative is overdue by so many."""
    if due < today:
        return -max(1, _between(calendar, due, today))
    return _between(calendar, today, due)


def _between(calendar: WorkingCalendar, first: date, last: date) -> int:
    return sum(calendar.is_working_day(first + timedelta(days=n)) for n in range(1, (last - first).days + 1))


@dataclass(frozen=True, slots=True)
class Found:
    """Tickets opened a day and category, over the last days."""

    days: tuple[date, ...]
    by_category: dict[str, tuple[int, ...]]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(sum(counts) for counts in self.by_category.values())


def found_by_day(connection: sa.Connection, *, now: datetime | None = None) -> Found:
    """Count tickets by the Shanghai day of their detection."""
    today = (now or datetime.now(UTC)).astimezone(SHANGHAI).date()
    days = tuple(today - timedelta(days=n) for n in range(FINDING_DAYS - 1, -1, -1))
    c = tickets.c
    since = datetime.combine(days[0], datetime.min.time(), SHANGHAI)
    # Shanghai is UTC+8 the whole year: the hour (13 characters) tells the day, and one row an hour is few rows.
    hour = sa.func.substr(c.detected_at, 1, 13)
    rows = connection.execute(
        sa.select(c.category, hour.label("hour"), sa.func.count().label("n"))
        .where(c.detected_at >= timestamp(since))
        .group_by(c.category, hour)
    )
    counts: dict[str, list[int]] = {}
    place = {day: n for n, day in enumerate(days)}
    for row in rows:
        day = datetime.fromisoformat(f"{row.hour}:00:00+00:00").astimezone(SHANGHAI).date()
        if day in place:
            counts.setdefault(row.category, [0] * len(days))[place[day]] += row.n
    ordered = sorted(counts.items(), key=lambda item: -sum(item[1]))
    return Found(days, {name: tuple(values) for name, values in ordered})


@dataclass(frozen=True, slots=True)
class Warned:
    """Something a person should know; ``text`` is Chinese, for translation, with ``values`` put in."""

    tone: str
    text: str
    values: dict[str, object]


def warnings(parts: Parts, counted: Work | None, *, now: datetime | None = None) -> list[Warned]:
    """What is wrong or about to be: keys, calendar, licence, disk, targets."""
    moment = now or datetime.now(UTC)
    today = moment.astimezone(SHANGHAI).date()
    found: list[Warned] = []
    calendar = parts.calendar()
    horizon = calendar.verified_through
    if counted is not None and (late := sum(n for left, n in counted.left.items() if left < 0)):
        found.append(Warned("bad", _("%(n)s 张工单已超过上报期限。"), {"n": late}))
    if counted is not None and counted.police_late:
        found.append(Warned("bad", _("%(n)s 张工单报公安机关的时限已过。"), {"n": counted.police_late}))
    if counted is not None and counted.past_target:
        found.append(Warned("bad", _("%(n)s 张工单超过处置目标时限。"), {"n": counted.past_target}))
    if horizon < today + timedelta(days=20) or (
        today >= date(today.year, *CALENDAR_ALARM) and horizon.year <= today.year
    ):
        text = _("工作日历只到 %(day)s：之后的到期日为暂定，请在国务院办公厅通知发布后导入。")
        found.append(Warned("warn", text, {"day": horizon.isoformat()}))
    expiry = parts.company.licence_expires_on
    if expiry is not None and expiry < today:
        found.append(Warned("bad", _("许可证已于 %(day)s 到期。"), {"day": expiry.isoformat()}))
    elif expiry is not None and expiry - timedelta(days=180) < today:
        found.append(Warned("warn", _("许可证将于 %(day)s 到期，须提前 90 日申请续期。"), {"day": expiry.isoformat()}))
    if expiry is None:
        text = _("许可证到期日没有填写：续期义务无法起算，请在 liucun.toml 的 [company] 中补全。")
        found.append(Warned("warn", text, {}))
    company = parts.company
    if not all((company.name, company.licence_number, company.domains, company.reporter, company.phone)):
        text = _(
            "单位名称、许可证编号、域名、报告人、电话未填全：报告将缺这些内容，请在 liucun.toml 的 [company] 中补全。"
        )
        found.append(Warned("warn", text, {}))
    free = free_disk(parts)
    if free < LOW_DISK:
        found.append(Warned("bad", _("磁盘只剩 %(gib)s GiB。"), {"gib": f"{free / (1 << 30):.1f}"}))
    held = (last_escrow(parts.catalogue) or {}).get("key_ids")
    if not isinstance(held, list) or parts.provider.key_id not in held:
        text = _("顶层密钥没有托管副本：一旦丢失，归档再也无法读取；请执行 liucun keys export-escrow。")
        found.append(Warned("warn", text, {}))
    if not parts.provider.can_unwrap:
        found.append(Warned("note", _("此处只有公钥：只能写入，不能读取。"), {}))
    if parts.provider.certification == UNCERTIFIED:
        found.append(Warned("note", _("密钥保护为软件实现，未取得商用密码产品认证。"), {}))
    return found


def live(connection: sa.Connection, actor: str) -> dict[str, int | str]:
    """Counts of the menu, and a mark that moves when any ticket does."""
    c = tickets.c
    rows = connection.execute(sa.select(c.part, sa.func.count()).where(c.part < int(Part.REST)).group_by(c.part)).all()
    parts = {row.part: row[1] for row in rows}
    mine = connection.execute(
        sa.select(sa.func.count())
        .select_from(tickets)
        .where(c.assignee == actor, c.state.in_([State.TRIAGE.value, State.CONFIRMED.value, State.DISPOSED.value]))
    ).scalar_one()
    dispose, report = parts.get(int(Part.DISPOSE), 0), parts.get(int(Part.REPORT), 0)
    return {"dispose": dispose, "report": report, "open": dispose + report, "mine": mine, "mark": f"{dispose}.{report}"}
