"""Figures and pictures that audits show beside their findings."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from retention.audits import days, pictures
from retention.audits.report import AuditReport, Table
from retention.audits.words import COUNTED, LASTING
from retention.catalogue.tables import batches, partitions
from retention.keys.periods import ALWAYS, PeriodKeyRecord
from retention.manifest import SegmentManifest
from retention.policies.judge import Verdict
from retention.policies.periods import SHANGHAI, CalendarPeriod
from retention.policies.simulate import ClassForecast, Forecast
from retention.printing.blocks import Picture

CLASSES: Final = {
    "user_log": "用户日志",
    "transaction": "交易",
    "content": "发布内容",
    "seller_identity": "商家身份",
    "live_index": "直播索引",
    "evidence": "证据",
    "unparsed": "未能解析",
    "ticket_text": "工单文本",
    "report": "上报内容",
    "message": "外发消息",
    "duty": "义务与评估",
    "disclosure": "数据提供记录",
}
TRAILS: Final = {"access": "查询、访问与解密", "provision": "对外提供", "assessment": "评估与义务"}
_VERDICTS: Final = ((Verdict.KEPT, "期限内 kept"), (Verdict.DUE, "到期 due"), (Verdict.HELD, "因故保留 held"))
_LONGER: Final = {
    "hold": "保全 under hold",
    "open_ticket": "工单未结 ticket open",
    "open_neighbour": "同段有未完结订单 an open order beside",
    "later_neighbour": "同段有较晚记录 a later record beside",
    "ingested_late": "入库较晚 ingested late",
    "unread": "尚未读取 not read yet",
}
QUERY_DAYS: Final = 90
SYSTEM: Final = "system:"


def class_name(record_class: str) -> str:
    """A class for people."""
    return CLASSES.get(record_class) or LASTING.get(record_class, record_class)


def period_words(period: CalendarPeriod) -> str:
    """A period for people, e.g. ``3 年 years``."""
    parts = ((period.years, "年 year"), (period.months, "个月 month"), (period.days, "天 day"))
    return " ".join(f"{count} {unit}{'s' if count > 1 else ''}" for count, unit in parts if count)


def _both(record_class: str) -> str:
    """A class for people and as queries name it."""
    name = class_name(record_class)
    return record_class if name == record_class else f"{name} {record_class}"


def show_calendars(connection: sa.Connection, report: AuditReport, *, now: datetime) -> None:
    """A calendar of 400 days for every class."""
    for found in days.coverage(connection, now=now):
        count = len(found.gaps)
        gaps, lacking = (f",缺记录 {count} 天", f", {count} days missing") if count else ("", "")
        last = found.first + timedelta(days=days.SHOWN - 1)
        report.pictures.append(
            Picture(
                pictures.calendar(found),
                f"{_both(found.record_class)}:{found.first} 至 {last} 的每日记录数,共 {found.total:,} 条{gaps}。\n"
                f"Records a day; {found.total:,} in these {days.SHOWN} days{lacking}.",
            )
        )
    waiting = days.uncounted(connection)
    if waiting:
        report.checked["days_uncounted"] = waiting


def show_sources(connection: sa.Connection, report: AuditReport) -> None:
    """Every source with what came of it."""
    b, p = batches.c, partitions.c
    counted = connection.execute(sa.select(p.source, sa.func.count()).group_by(p.source))
    parts: dict[str, int] = {row[0]: row[1] for row in counted}
    rows = connection.execute(
        sa.select(
            b.source,
            sa.func.sum(b.records).label("records"),
            sa.func.min(b.committed_at).label("first"),
            sa.func.max(b.committed_at).label("last"),
        )
        .group_by(b.source)
        .order_by(b.source)
    )
    report.tables.append(
        Table(
            "sources",
            "来源 Sources",
            ("来源 Source", "分区 Partitions", "记录 Records", "首批 First batch", "末批 Last batch"),
            tuple(
                (
                    row.source,
                    f"{parts.get(row.source, 0):,}",
                    f"{int(row.records):,}",
                    _local(row.first),
                    _local(row.last),
                )
                for row in rows
            ),
            widths=(4, 1.4, 2, 2.3, 2.3),
            numbers=frozenset({1, 2}),
        )
    )


def show_verified(report: AuditReport, manifests: Iterable[SegmentManifest]) -> None:
    """What the integrity audit verified, by class."""
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for manifest in manifests:
        line = found[manifest.record_class]
        line[0] += 1
        line[1] += manifest.rows
        line[2] += manifest.bytes_stored
    report.tables.append(
        Table(
            "verified",
            "已验证,按类别 Verified by class",
            ("类别 Class", "封存段 Segments", "记录 Records", "密文字节 Sealed bytes"),
            tuple((_both(name), *(f"{value:,}" for value in line)) for name, line in sorted(found.items())),
            widths=(3, 2, 2, 2),
            numbers=frozenset({1, 2, 3}),
        )
    )


def show_forecast(report: AuditReport, found: Forecast) -> None:
    """What is kept, due and held, class by class, and what stays longer than needed and why."""
    present = {name: one for name, one in found.classes.items() if any(a.records for a in one.amounts.values())}
    names = [f"{class_name(name)}" for name in present]
    if present:
        series = [(label, [one.amounts[verdict].records for one in present.values()]) for verdict, label in _VERDICTS]
        report.pictures.append(
            Picture(pictures.bars(names, series), "各类记录的留存状态(条) Records kept, due and held, by class")
        )
    report.tables.append(
        Table(
            "classes",
            "各类记录的期限与现状 Periods and how they stand",
            ("类别 Class", "至少 At least", "起算 From", "依据 Basis", "期限内 Kept", "到期 Due", "因故保留 Held"),
            tuple(_class_line(name, one) for name, one in found.classes.items()),
            widths=(2.1, 1.1, 2.2, 3.8, 1.4, 1.2, 1.3),
            numbers=frozenset({4, 5, 6}),
        )
    )
    longer = [
        (_both(name), _LONGER.get(why, why), f"{rows:,}")
        for name, one in found.classes.items()
        for why, rows in sorted(one.longer.items())
    ]
    report.tables.append(
        Table(
            "longer",
            "超过自身期限仍保存的记录 Records kept longer than their own period",
            ("类别 Class", "原因 Why", "记录 Records"),
            tuple(longer),
            widths=(3, 5, 2),
            numbers=frozenset({2}),
        )
    )


def show_trails(report: AuditReport, found: Forecast) -> None:
    """What is events of the log: how many, and how many their rule still needs."""
    report.tables.append(
        Table(
            "trails",
            "作为日志事件保存的记录 Records that are events of the log",
            ("类别 Class", "至少 At least", "依据 Basis", "事件 Events", "须存 Needed", "起于 Since"),
            tuple(
                (
                    f"{TRAILS.get(one.trail.name, one.trail.name)}\n{one.trail.name}",
                    "与所涉数据同期 as its data" if one.trail.floor is None else period_words(one.trail.floor),
                    one.trail.basis,
                    f"{one.events:,}",
                    f"{one.needed:,}",
                    one.needed_from.isoformat(),
                )
                for one in found.trails
            ),
            widths=(2, 2, 4, 1.4, 1.4, 1.6),
            numbers=frozenset({3, 4}),
        )
    )


def _class_line(name: str, one: ClassForecast) -> tuple[str, ...]:
    policy = one.policy
    return (
        f"{class_name(name)}\n{name}",
        period_words(policy.floor),
        COUNTED[policy.counted_from.value],
        policy.basis,
        *(f"{one.amounts[verdict].records:,}" for verdict, _ in _VERDICTS),
    )


def in_use(record: PeriodKeyRecord, needed: Mapping[str, int]) -> bool:
    """Whether a living key seals something. What those of the system seal (events, reasons, entries of the log) is not
    counted one by one: they live with the store."""
    return bool(needed.get(record.key_id)) or record.record_class.startswith(SYSTEM)


def show_keys(report: AuditReport, records: Sequence[PeriodKeyRecord], needed: Mapping[str, int]) -> None:
    """Keys by class and state."""
    living: Counter[str] = Counter()
    using: Counter[str] = Counter()
    gone: Counter[str] = Counter()
    spans: dict[str, list[str]] = defaultdict(list)
    for record in records:
        spans[record.record_class].append(record.period)
        if record.destroyed_at is not None:
            gone[record.record_class] += 1
        elif in_use(record, needed):
            using[record.record_class] += 1
        else:
            living[record.record_class] += 1
    names = sorted(spans)
    series = [
        ("在用 in use", [using[name] for name in names]),
        ("有效未用 living, unused", [living[name] for name in names]),
        ("已销毁 destroyed", [gone[name] for name in names]),
    ]
    if names:
        report.pictures.append(
            Picture(
                pictures.bars([class_name(name) for name in names], series), "密钥,按类别与状态 Keys by class and state"
            )
        )
    report.tables.append(
        Table(
            "keys",
            "密钥 Keys",
            ("类别 Class", "最早 Oldest", "最新 Newest", "在用 In use", "有效未用 Unused", "已销毁 Destroyed"),
            tuple(
                (
                    _both(name),
                    _period(min(spans[name])),
                    _period(max(spans[name])),
                    f"{using[name]:,}",
                    f"{living[name]:,}",
                    f"{gone[name]:,}",
                )
                for name in names
            ),
            widths=(3, 1.5, 1.5, 1.3, 1.5, 1.5),
            numbers=frozenset({3, 4, 5}),
        )
    )


def _period(period: str) -> str:
    return "长期 always" if period == ALWAYS else period


def show_queries(report: AuditReport, times: Iterable[datetime], *, now: datetime) -> None:
    """Queries a day over the last 90 days."""
    today = now.astimezone(SHANGHAI).date()
    counted = Counter(time.astimezone(SHANGHAI).date() for time in times)
    shown = [today - timedelta(days=n) for n in range(QUERY_DAYS - 1, -1, -1)]
    report.pictures.append(
        Picture(
            pictures.columns([f"{day:%m-%d}" for day in shown], [counted[day] for day in shown]),
            f"每日查询次数,{shown[0]} 至 {shown[-1]} Queries a day",
        )
    )


def _local(text: str) -> str:
    """A catalogue's time as people read it; what somebody wrote there that is none is shown as it stands."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")
