"""Access: who asked the archive what, why, and how many rows; queries without a purpose, and what is unusual.

A query leaves two records, one before anything is decrypted and one with its outcome. Purposes stand sealed in the
first; here they are opened and required.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import sqlalchemy as sa

from errors import LiucunError
from retention.audits.asked import Asked, show_asked
from retention.audits.decided import disclosures_table
from retention.audits.figures import SYSTEM, show_queries
from retention.audits.report import AuditReport, Severity, Span, Table
from retention.audits.subject import Progress, Subject, no_progress, within
from retention.catalogue.tables import events, timestamp
from retention.crypto.bodies import BodyCipher
from retention.policies.periods import SHANGHAI
from retention.query.run import open_words

MANY_ROWS: Final = 10_000
"""A result is not called large below so many rows."""
LARGER: Final = 20
"""So many times its account's median makes a result unusual."""
BURST: Final = 60
"""Queries of one account within an hour."""
NIGHT: Final = (22, 6)
"""Hours in China from and to which work is unusual."""
UNFINISHED: Final = timedelta(hours=24)
MANY_REVEALS: Final = 50
"""Looking behind the mask is not called unusual below so many times."""
LARGER_REVEALS: Final = 5
LOOKING: Final = {
    "personal.revealed": "查看未脱敏信息 personal data unmasked",
    "content.read": "说明用途后查看内容 content read for a purpose",
    "report.exported": "导出报告 report exported",
    "duty.file_read": "下载义务证据 evidence of a duty read",
    "evidence.read": "取出工单证据 evidence of a ticket taken out",
    "request.exported": "个人信息副本 copy for a person",
    "disclosure.document_read": "下载案件文书 case document of a disclosure read",
    "model.decisions_read": "读取人工结论用于训练 decided texts read for training",
    "disclosure.exported": "向主管部门导出 bundle for an authority",
    "disclosure.served": "经接口向主管部门提供 served to an authority",
}
"""Kinds of events by which people see records without a query of their own."""
HANDED_OUT: Final = ("disclosure.exported", "disclosure.served")


class ReadableSubject(Subject, Protocol):
    """An open store whose sealed words can be opened."""

    @property
    def bodies(self) -> BodyCipher:
        """Opens the words of queries."""
        ...


@dataclass(slots=True)
class _Query:
    at: datetime
    actor: str
    purpose: str | None = None
    sql: str = ""
    restricted: bool = False
    outcome: str | None = None
    rows: int = 0
    segments: int = 0


@dataclass(slots=True)
class _Account:
    queries: int = 0
    rows: int = 0
    restricted: int = 0
    purposes: Counter[str] = field(default_factory=Counter)
    sizes: list[int] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)


def audit_access(
    subject: ReadableSubject,
    *,
    span: Span | None = None,
    now: datetime | None = None,
    progress: Progress = no_progress,
) -> AuditReport:
    """Go through every query of a span (by the time it was asked)."""
    moment = now or datetime.now(UTC)
    report = AuditReport("access", moment, span or Span())
    with subject.catalogue.read() as connection:
        rows = connection.execute(
            sa.select(events.c.kind, events.c.at, events.c.actor, events.c.subject, events.c.body)
            .where(events.c.kind.like("query.%"), within(report.span, events.c.at))
            .order_by(events.c.id)
        ).all()
        others = _others(connection, report.span)
        known_before = _known_before(connection, report.span)
        provided = disclosures_table(connection)
    queries = _queries(subject, report, rows, progress)
    accounts = _accounts(queries)
    _outcomes(report, queries, moment)
    _looking(report, others)
    _newcomers(report, accounts, known_before)
    for actor, account in sorted(accounts.items()):
        _unusual(report, actor, account)
        most = "; ".join(purpose for purpose, _ in account.purposes.most_common(3))
        report.checked[f"account {actor}"] = f"{account.queries:,} queries, {account.rows:,} rows: {most}"[:300]
    report.checked.update(
        queries=len(queries),
        answered=sum(1 for query in queries.values() if query.outcome == "query.answered"),
        failed=sum(1 for query in queries.values() if query.outcome == "query.failed"),
        accounts=len(accounts),
        rows_returned=sum(account.rows for account in accounts.values()),
        restricted_queries=sum(account.restricted for account in accounts.values()),
        revealed=sum(others["personal.revealed"].values()),
        exports=sum(others["request.exported"].values()),
        disclosures_served=sum(sum(others[kind].values()) for kind in HANDED_OUT),
    )
    _tables(report, accounts, others)
    report.tables.append(provided)
    show_asked(
        report,
        (
            Asked(one.at, one.actor, one.sql, one.purpose or "", one.rows if one.outcome == "query.answered" else None)
            for one in queries.values()
        ),
    )
    show_queries(report, (query.at for query in queries.values()), now=report.span.until or moment)
    return report


def _others(connection: sa.Connection, span: Span) -> dict[str, Counter[str]]:
    """What accounts saw beside queries: by kind of event, a count an account."""
    e = events.c
    rows = connection.execute(
        sa.select(e.kind, e.actor, sa.func.count().label("n"))
        .where(e.kind.in_(LOOKING), within(span, e.at))
        .group_by(e.kind, e.actor)
    )
    found: dict[str, Counter[str]] = {kind: Counter() for kind in LOOKING}
    for row in rows:
        found[row.kind][row.actor] += row.n
    return found


def _known_before(connection: sa.Connection, span: Span) -> set[str] | None:
    """Who had asked before the span began; None where the span has no beginning."""
    if span.since is None:
        return None
    e = events.c
    before = sa.select(e.actor).where(e.kind == "query.started", e.at < timestamp(span.since)).distinct()
    return set(connection.execute(before).scalars())


def _newcomers(report: AuditReport, accounts: Mapping[str, _Account], known: set[str] | None) -> None:
    for actor in sorted(accounts.keys() - known) if known is not None else ():
        report.add("first_query", f"account:{actor}", "It had never asked before this span.", Severity.NOTICE)


def _looking(report: AuditReport, others: Mapping[str, Counter[str]]) -> None:
    """Who looked behind the mask far more often than the others."""
    revealed = others["personal.revealed"]
    if not revealed:
        return
    typical = statistics.median(revealed.values())
    for actor, count in sorted(revealed.items()):
        if count >= MANY_REVEALS and (len(revealed) == 1 or count > LARGER_REVEALS * typical):
            report.add(
                "many_reveals",
                f"account:{actor}",
                f"It saw personal data unmasked {count:,} times; half of the accounts did up to {typical:,.0f} times.",
                Severity.NOTICE,
            )


def _tables(report: AuditReport, accounts: Mapping[str, _Account], others: Mapping[str, Counter[str]]) -> None:
    report.tables.append(
        Table(
            "accounts",
            "按账号的查询 Queries by account",
            ("账号 Account", "查询 Queries", "行 Rows", "受限 Restricted", "主要用途 Purposes"),
            tuple(
                (
                    actor,
                    f"{one.queries:,}",
                    f"{one.rows:,}",
                    f"{one.restricted:,}",
                    _purposes(one),
                )
                for actor, one in sorted(accounts.items(), key=lambda item: -item[1].queries)
            ),
            widths=(2.5, 1.2, 1.4, 1.4, 4.5),
            numbers=frozenset({1, 2, 3}),
        )
    )
    report.tables.append(
        Table(
            "looked_at",
            "其他查看与提供 Looked at and handed out otherwise",
            ("种类 Kind", "账号 Account", "次数 Times"),
            tuple(
                (LOOKING[kind], actor, f"{count:,}")
                for kind, counted in others.items()
                for actor, count in counted.most_common()
            ),
            widths=(4, 3, 1.5),
            numbers=frozenset({2}),
        )
    )


def _purposes(account: _Account) -> str:
    """The purposes that were named most often, how many more there are, and how many queries name none."""
    most = account.purposes.most_common(3)
    said = [f"{purpose[:80]}{'…' if len(purpose) > 80 else ''} ({count:,})" for purpose, count in most]
    more, without = len(account.purposes) - len(most), account.queries - account.purposes.total()
    if more:
        said.append(f"另有 {more:,} 种 {more:,} more")
    if without:
        said.append(f"未写明 none stated ({without:,})")
    return "\n".join(said)


def _queries(
    subject: ReadableSubject, report: AuditReport, rows: Sequence[Any], progress: Progress
) -> dict[str, _Query]:
    found: dict[str, _Query] = {}
    for number, row in enumerate(rows, 1):
        try:
            body = json.loads(row.body)
        except ValueError:
            report.add("record_changed", row.subject, "The record of this query cannot be read.")
            continue
        if row.kind == "query.started":
            query = _Query(datetime.fromisoformat(row.at), row.actor, restricted=bool(body.get("restricted")))
            found[row.subject] = query
            _words(subject, report, row.subject, query, body)
        elif row.subject in found:
            query = found[row.subject]
            query.outcome = row.kind
            query.rows, query.segments = int(body.get("rows", 0)), int(body.get("segments", 0))
        elif report.span.since is None:
            report.add(
                "not_announced", row.subject, f"{row.actor} got an answer to a query that was not recorded first."
            )
        progress("queries", number, len(rows))
    return found


def _words(subject: ReadableSubject, report: AuditReport, name: str, query: _Query, body: dict[str, Any]) -> None:
    """The purpose and, where restricted records were asked for, the legal ground."""
    when = query.at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")
    sealed = body.get("sealed")
    if not sealed:
        report.add("no_purpose", name, f"{query.actor} asked on {when} without a purpose on record.")
        return
    try:
        words = open_words(subject.bodies, name.removeprefix("query:"), sealed)
    except (LiucunError, ValueError):
        report.add("record_changed", name, f"The words of the query of {query.actor} on {when} do not authenticate.")
        return
    query.purpose, query.sql = str(words.get("purpose", "")).strip(), str(words.get("sql", ""))
    if not any(sign.isalnum() for sign in query.purpose):
        report.add("no_purpose", name, f"{query.actor} asked on {when} without a purpose.")
    if query.restricted and not str(words.get("basis", "")).strip():
        report.add("no_ground", name, f"{query.actor} saw restricted records on {when} without a legal ground.")


def _accounts(queries: dict[str, _Query]) -> dict[str, _Account]:
    found: dict[str, _Account] = defaultdict(_Account)
    for query in queries.values():
        account = found[query.actor]
        account.queries += 1
        account.rows += query.rows
        account.restricted += query.restricted
        account.times.append(query.at)
        if query.purpose:
            account.purposes[query.purpose] += 1
        if query.outcome == "query.answered":
            account.sizes.append(query.rows)
    return dict(found)


def _outcomes(report: AuditReport, queries: dict[str, _Query], now: datetime) -> None:
    lost = [name for name, query in queries.items() if query.outcome is None and now - query.at > UNFINISHED]
    for name in sorted(lost):
        report.add("no_outcome", name, f"{queries[name].actor}'s query has no outcome on record.", Severity.NOTICE)


def _unusual(report: AuditReport, actor: str, account: _Account) -> None:
    def note(kind: str, detail: str) -> None:
        report.add(kind, f"account:{actor}", detail, Severity.NOTICE)

    typical = statistics.median(account.sizes) if account.sizes else 0
    large = [size for size in account.sizes if size >= MANY_ROWS and size > LARGER * max(typical, 1)]
    if large:
        note(
            "many_rows", f"{len(large)} results of up to {max(large):,} rows; half of its results have {typical:,.0f}."
        )
    hours = [time.astimezone(SHANGHAI).hour for time in account.times]
    night = sum(1 for hour in hours if hour >= NIGHT[0] or hour < NIGHT[1])
    if night and not actor.startswith(SYSTEM):  # the program's own work has no hours
        note("at_night", f"{night} of {account.queries} queries between {NIGHT[0]}:00 and {NIGHT[1]}:00.")
    times = sorted(account.times)
    burst = max(
        (end - begin + 1 for begin, end in _windows(times)),
        default=0,
    )
    if burst > BURST:
        note("burst", f"{burst} queries within one hour.")
    if account.restricted:
        note("restricted_seen", f"{account.restricted} queries of restricted records, each with its ground on record.")


def _windows(times: list[datetime]) -> list[tuple[int, int]]:
    """For each query the first one within the hour before it."""
    found, begin = [], 0
    for end, time in enumerate(times):
        while time - times[begin] > timedelta(hours=1):
            begin += 1
        found.append((begin, end))
    return found
