"""What should be monitored and is not: sources without records, text nobody declared, types and categories without a
live detector.

The rooms that detect and take in are above this one; whoever opens the store says here what they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from retention.audits.finding_words import item_numeral
from retention.audits.gaps import silences, time_gaps
from retention.audits.kinds import NAMES, STANDARD, kind_of
from retention.audits.report import AuditReport, Severity, Table
from retention.catalogue.declarations import DeclaredSource, undeclared_fields
from retention.catalogue.tables import batches, partitions, segment_content_types, segments

ITEMS: Final = {
    1: "反对宪法所确定的基本原则",
    2: "危害国家安全、颠覆国家政权、破坏国家统一",
    3: "损害国家荣誉和利益",
    4: "煽动民族仇恨、民族歧视",
    5: "破坏国家宗教政策、宣扬邪教和封建迷信",
    6: "散布谣言、扰乱社会秩序",
    7: "散布淫秽、色情、赌博、暴力、凶杀、恐怖或者教唆犯罪",
    8: "侮辱或者诽谤他人",
    9: "法律、行政法规禁止的其他内容",
}
"""The nine kinds of 互联网信息服务管理办法 art. 15, in short."""


@dataclass(frozen=True, slots=True)
class Monitoring:
    """What is monitored: live detectors by item of Article 15, engines by type of content, declared sources.

    ``sources`` are those of the settings, from which records are expected; ``ran`` those of command lines.
    """

    detectors: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Item (1 to 9) to the names of its live rules' packs and models."""
    engines: Mapping[str, str] = field(default_factory=dict)
    """Type of content to the detector of it; text is scanned by the detectors themselves."""
    sources: tuple[DeclaredSource, ...] = ()
    ran: tuple[DeclaredSource, ...] = ()

    @property
    def every(self) -> tuple[DeclaredSource, ...]:
        """All of them."""
        return (*self.sources, *self.ran)

    @property
    def gapless(self) -> frozenset[str]:
        """Sources of the settings in which an offset without a message is a loss."""
        return frozenset(source.name for source in self.sources if source.gapless)


def audit_monitoring(connection: sa.Connection, monitoring: Monitoring, report: AuditReport, *, now: datetime) -> None:
    """Add to a coverage report what is silent and what is not monitored; all of it notices, for a person to decide."""
    _silent(connection, monitoring, report, now)
    _undeclared(connection, monitoring, report)
    _categories(monitoring, report)
    _types(connection, monitoring, report)


def _silent(connection: sa.Connection, monitoring: Monitoring, report: AuditReport, now: datetime) -> None:
    known = set(connection.execute(sa.select(partitions.c.source).distinct()).scalars())
    b = batches.c
    speaking = set(connection.execute(sa.select(b.source).where(b.records > 0).distinct()).scalars())
    for source in monitoring.sources:
        if source.name not in speaking:
            read = "its places are read, and no record was ever in them" if source.name in known else "nothing came"
            report.add("source_silent", f"source:{source.name}", f"It is declared, and {read}.", Severity.NOTICE)
    for silence in silences(connection, declared={source.name for source in monitoring.sources}, now=now):
        report.add("source_silent", f"source:{silence.source}", silence.words(now), Severity.NOTICE)
    gaps = time_gaps(connection, now=now)
    for gap in gaps:
        report.add(
            "time_gap",
            f"source:{gap.source} {gap.words}",
            "No record, while the source usually has some at these hours.",
            Severity.NOTICE,
        )
    report.checked["time_gaps"] = len(gaps)


def _undeclared(connection: sa.Connection, monitoring: Monitoring, report: AuditReport) -> None:
    for source in monitoring.every:
        if "text" not in source.published:
            report.add(
                "not_monitored",
                f"source:{source.name}",
                "Nobody has declared whether its `text` is public; until then it is not scanned.",
                Severity.NOTICE,
            )
        for name in undeclared_fields(connection, source):
            report.add(
                "not_monitored",
                f"source:{source.name} field:{name}",
                "This field holds text, and nobody has declared whether it is public; until then it is not scanned.",
                Severity.NOTICE,
            )


def _categories(monitoring: Monitoring, report: AuditReport) -> None:
    rows = []
    for item, words in ITEMS.items():
        names = monitoring.detectors.get(item, ())
        rows.append((f"({item_numeral(item)})", words, "\n".join(names) or "未监测 not monitored"))
        if not names:
            report.add(
                "not_monitored",
                f"article15:{item}",
                f"No live detector for item {item} of Article 15 ({words}): load the lists that you were given.",
                Severity.NOTICE,
            )
    report.checked["article15_monitored"] = sum(1 for item in ITEMS if monitoring.detectors.get(item))
    report.tables.append(
        Table(
            "article15",
            "九类违法信息的监测 The nine kinds of Article 15",
            ("项 Item", "内容 Kind", "在用检测器 Live detectors"),
            tuple(rows),
            widths=(1, 4, 5),
        )
    )


def _types(connection: sa.Connection, monitoring: Monitoring, report: AuditReport) -> None:
    k, s = segment_content_types.c, segments.c
    held = {
        row.content_type: int(row.rows)
        for row in connection.execute(
            sa.select(k.content_type, sa.func.sum(k.rows).label("rows"))
            .join(segments, s.segment_id == k.segment_id)
            .group_by(k.content_type)
        )
    }
    engines = {kind_of(name): by for name, by in monitoring.engines.items()}
    if any(source.scanned for source in monitoring.every) and any(monitoring.detectors.values()):
        engines.setdefault("text", "关键词与模型 keywords and model")
    rows = []
    for kind in [*STANDARD, *sorted(held.keys() - set(STANDARD))]:
        count = held.get(kind, 0)
        name = f"{NAMES[kind]} {kind}" if kind in NAMES else kind
        rows.append((name, f"{count:,}", engines.get(kind, "未监测 not monitored")))
        if kind not in engines:
            there = f"{count:,} records of this type are in the archive" if count else "no record of it came yet"
            report.add(
                "not_monitored",
                f"content_type:{kind}",
                f"No live detector for content of the type {kind}; {there}.",
                Severity.NOTICE,
            )
    report.tables.append(
        Table(
            "content_types",
            "各内容类型的监测 Types of published content",
            ("类型 Type", "记录 Records", "在用检测器 Live detector"),
            tuple(rows),
            widths=(2, 2, 5),
            numbers=frozenset({1}),
        )
    )
