"""Audits as a document for an inspector: summary, the licence clause by clause, then each audit with its figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from retention.audits.clauses import clauses, clauses_of, standing
from retention.audits.finding_words import both, place
from retention.audits.outcome import Outcome, together
from retention.audits.report import UNCERTIFIED, AuditReport, Finding, Table
from retention.audits.words import CHECKED, TITLES
from retention.policies.periods import SHANGHAI
from retention.printing.blocks import Block, Contents, Document, Grid, Heading, Pairs, Paragraph, Tone

MOST: Final = 300
"""Findings of a kind that are printed; the JSON report holds all."""
TOGETHER: Final = 8
"""Places that one row names: a row does not break over pages."""
_TONES: Final = {Outcome.PASSED: Tone.GOOD, Outcome.NOTHING: Tone.PLAIN, Outcome.FAULTS: Tone.BAD}


@dataclass(frozen=True, slots=True)
class Context:
    """Who is audited and by whom. ``duties`` says of each clock of a duty how its register stands, ``facts`` what else
    clauses ask for, by name."""

    store: str
    actor: str
    company: str = ""
    licence: str = ""
    suite: str = ""
    duties: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)


def document(reports: Sequence[AuditReport], context: Context) -> Document:
    """The document of one or several audits of a store."""
    first = reports[0]
    at = first.at.astimezone(SHANGHAI)
    several = len(reports) > 1
    title = "留存审计报告" if several else TITLES[first.audit][0]
    english = "Audit report of the archive" if several else f"{TITLES[first.audit][1]} audit"
    company = context.company or "(未填写公司名称)"
    return Document(
        title=title,
        subtitle=f"{english}\n{company}    {at:%Y-%m-%d}",
        footer=f"{company}  {title}  {at:%Y-%m-%d %H:%M}",
        author=company,
        blocks=tuple(_blocks(reports, context)),
    )


def _blocks(reports: Sequence[AuditReport], context: Context) -> Iterator[Block]:
    first = reports[0]
    yield Paragraph(*_verdict(*reports))
    yield Pairs(
        (
            ("单位 Company", context.company or "—"),
            ("许可证编号 Licence", context.licence or "—"),
            ("留存库 Store", context.store),
            ("审计时间 Audited at", f"{first.at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S} 北京时间 UTC+8"),
            ("审计人 Auditor", context.actor),
            ("范围 Span", first.span.both()),
            ("密码套件 Suite", context.suite or "—"),
            ("密码产品认证 Certification", _certification(reports)),
            ("第二保管人 Custodian", "已锚定 anchored" if _anchored(reports) else "未锚定 not anchored"),
        )
    )
    yield from _limits(reports)
    if len(reports) > 1:
        yield Heading("结论 Summary", 1)
        yield Grid(
            ("审计 Audit", "结论 Result", "问题 Faults", "待决定 Notices", "内容 What it proves"),
            tuple(_line(report) for report in reports),
            widths=(2, 1.6, 1.2, 1.3, 5),
            numbers=frozenset({2, 3}),
        )
        yield Contents("目录 Contents")
        yield from _by_clause(reports, context)
    for report in reports:
        yield from _section(report, alone=len(reports) == 1)


def _anchored(reports: Sequence[AuditReport]) -> bool:
    return all(report.anchored for report in reports)


def _verdict(*reports: AuditReport) -> tuple[str, Tone]:
    """What came out, and its tone."""
    outcome = together({report.audit: report.outcome for report in reports})
    return outcome.headline, _TONES[outcome]


def _certification(reports: Sequence[AuditReport]) -> str:
    named = sorted({report.certification for report in reports})
    return ", ".join("未认证 uncertified" if name == UNCERTIFIED else name for name in named)


def _limits(reports: Sequence[AuditReport]) -> Iterator[Block]:
    """How far the audit's word reaches, said before anything else."""
    if not _anchored(reports):
        yield Paragraph(
            "未锚定 (anchored: false)。没有第二保管人持有检查点:能够写入本库的人可以同时改写数据与记录而不被发现。\n"
            "Not anchored: no second custodian holds a checkpoint, so whoever can write the whole store could rewrite "
            "data and record together unseen.",
            Tone.LOUD,
        )
    if any("uncertified" in report.certification for report in reports):
        yield Paragraph(
            "未认证 (uncertified)。密码运算由软件完成,未取得商用密码产品认证。\n"
            "Cryptography is software without a commercial-cryptography product certificate.",
            Tone.LOUD,
        )


def _line(report: AuditReport) -> tuple[str, ...]:
    chinese, english, claim, claim_english = TITLES[report.audit]
    return (
        f"{chinese}\n{english}",
        _verdict(report)[0],
        f"{len(report.faults):,}",
        f"{len(report.notices):,}",
        f"{claim}\n{claim_english}",
    )


def _by_clause(reports: Sequence[AuditReport], context: Context) -> Iterator[Block]:
    yield Heading("许可证条款逐条对照 Clause by clause", 1)
    yield Paragraph(
        "每一条款或由软件回答(见所列审计),或由有时限与证据的义务事项回答,或不在范围之内并说明理由。\n"
        "Each clause is answered by the software (see the audits named), by a duty with a clock and evidence, or lies "
        "outside, with the reason.",
        Tone.QUIET,
    )
    yield Grid(
        ("条款 Clause", "要求 Requirement", "回答 By", "如何 How", "现状 As it stands"),
        tuple(
            (
                clause.number,
                f"{clause.title}\n{clause.english}",
                clause.answer.words,
                clause.how,
                standing(clause, reports, context.duties, context.facts),
            )
            for clause in clauses()
        ),
        widths=(1.3, 3, 1.5, 3.7, 3.5),
    )


def _section(report: AuditReport, *, alone: bool) -> Iterator[Block]:
    chinese, english, claim, claim_english = TITLES[report.audit]
    if not alone:
        yield Heading(f"{chinese} {english}", 1, begins_page=True)
        yield Paragraph(*_verdict(report))
    yield Paragraph(f"{claim}\n{claim_english}")
    answered = clauses_of(report.audit)
    if answered:
        yield Paragraph(
            "回答的许可证条款 Answers clauses: " + ", ".join(f"{one.number} {one.title}" for one in answered),
            Tone.QUIET,
        )
    figures = tuple(
        (CHECKED.get(name, name), f"{value:,}" if isinstance(value, int) else value)
        for name, value in report.checked.items()
        if name in CHECKED or (": " not in name and not name.startswith("account "))  # those stand in tables
    )
    yield Heading("检查项 What was checked", 2)
    yield Pairs(figures)
    yield from report.pictures
    for table in report.tables:
        yield from _table(table)
    yield from _findings("问题 Faults", report.faults)
    yield from _findings("待决定 For a person to decide", report.notices)


def _table(table: Table) -> Iterator[Block]:
    yield Heading(table.title, 2)
    if not table.rows:
        yield Paragraph("没有。None.", Tone.QUIET)
        return
    yield Grid(table.header, table.rows, table.widths, table.numbers)


def _findings(title: str, findings: Sequence[Finding]) -> Iterator[Block]:
    if not findings:
        return
    yield Heading(f"{title}: {len(findings):,}", 2)
    yield Grid(
        ("类型 Kind", "位置 Where", "说明 Detail"),
        tuple(_grouped(findings[:MOST])),
        widths=(1.6, 3, 4),
    )
    if len(findings) > MOST:
        yield Paragraph(f"另有 {len(findings) - MOST:,} 项,见 JSON 报告。The JSON report holds all.", Tone.QUIET)


def _grouped(findings: Sequence[Finding]) -> Iterator[tuple[str, str, str]]:
    """Rows of (kind, places, detail): findings that say the same of several places stand in one row."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in findings:
        found.setdefault(both(one), []).append(place(one.where))
    for (kind, detail), places in found.items():
        for first in range(0, len(places), TOGETHER):
            yield kind, "\n".join(places[first : first + TOGETHER]), detail
