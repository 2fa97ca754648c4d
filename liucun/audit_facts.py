"""How the licence's clauses stand by what the rooms beside the archive have on record: duties, tickets, decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from retention.catalogue.tables import timestamp
from retention.policies.periods import stored_date

if TYPE_CHECKING:
    from liucun.store import OpenStore
    from tickets.duties import Duty

SHOWN: Final = 3
"""Duties of a kind that a clause names; how many more there are is said."""


def duties_of(opened: OpenStore) -> Mapping[str, str]:
    """How the register of duties stands, by the name of the clock: what is overdue first, then what is open, then the
    newest that were done."""
    from tickets.clocks import DUTIES
    from tickets.duties import NAMES, list_duties

    found: dict[str, list[Duty]] = {}
    with opened.catalogue.read() as connection:
        for duty in list_duties(connection, opened.bodies, state=None, limit=None):
            found.setdefault(duty.clock, []).append(duty)
    return {
        clock.name: f"{NAMES.get(clock.name, clock.name)}: {_standing(found.get(clock.name, []))}" for clock in DUTIES
    }


def _standing(duties: list[Duty]) -> str:
    waiting = sorted((duty for duty in duties if duty.state == "open"), key=lambda duty: duty.due_at)
    done = sorted((d for d in duties if d.state != "open"), key=lambda d: d.completed_at or "", reverse=True)
    every = [*waiting, *done]
    if not every:
        return "未登记 none entered"
    said = [_said(duty) for duty in every[:SHOWN]]
    if len(every) > SHOWN:
        said.append(f"另有 {len(every) - SHOWN} 项 more")
    return "; ".join(said)


def _said(duty: Duty) -> str:
    if duty.state == "open":
        return f"应于 {duty.due_on} 前, {'已逾期 overdue' if duty.overdue else '待办 open'}"
    day = stored_date(duty.completed_at) if duty.completed_at else "—"
    late = "逾期办结 done late" if duty.overdue else "按期办结 done in time"
    return f"{day} {late}, 证据 {len(duty.files)} 份 files"


def facts_of(opened: OpenStore) -> Mapping[str, str]:
    """What the clauses of ``clauses.toml`` name as facts, in words."""
    with opened.catalogue.read() as connection:
        return {
            "tickets": _tickets(connection),
            "police": _police(connection),
            "orders": _orders(connection),
            "measures": _measures(connection),
            "purges": _purges(connection),
            "disclosures": _disclosures(connection),
            "own_rules": _own_rules(opened),
        }


def _tickets(connection: sa.Connection) -> str:
    """Illegal content from its confirmation to the report within ten working days."""
    from tickets.states import Decision, State
    from tickets.tables import tickets

    c = tickets.c
    stands = c.state.not_in([State.DISMISSED.value, State.REVERSED.value, State.MERGED.value])
    illegal = sa.and_(c.decision == Decision.ILLEGAL.value, stands)
    disposed = sa.and_(illegal, c.effective_at.is_not(None))
    reported = sa.and_(disposed, c.reported_at.is_not(None))
    waiting = sa.and_(disposed, c.reported_at.is_(None))
    row = _counts(
        connection,
        opened=c.state != State.MERGED.value,
        illegal=illegal,
        disposed=disposed,
        reported=reported,
        late=sa.and_(reported, c.reported_at > c.due_at),
        waiting=waiting,
        overdue=sa.and_(waiting, c.due_at < timestamp()),
    )
    return (
        f"工单 tickets {row.opened:,}; 认定违法 illegal {row.illegal:,}, 已处置 disposed {row.disposed:,}, "
        f"已上报 reported {row.reported:,} (其中逾期 late {row.late:,}), 未上报 not yet {row.waiting:,} "
        f"(其中已逾期 overdue {row.overdue:,})"
    )


def _police(connection: sa.Connection) -> str:
    from tickets.tables import tickets

    c = tickets.c
    due = c.police_due_at.is_not(None)
    waiting = sa.and_(due, c.police_reported_at.is_(None))
    row = _counts(
        connection,
        due=due,
        late=sa.and_(due, c.police_reported_at > c.police_due_at),
        waiting=waiting,
        overdue=sa.and_(waiting, c.police_due_at < timestamp()),
    )
    return (
        f"应向公安报告 due to the police {row.due:,}, 逾期报告 late {row.late:,}, 未报告 not yet {row.waiting:,} "
        f"(其中已逾期 overdue {row.overdue:,})"
    )


def _orders(connection: sa.Connection) -> str:
    from tickets.states import Channel
    from tickets.tables import tickets

    c = tickets.c
    given = c.channel == Channel.AUTHORITY.value
    row = _counts(connection, given=given, disposed=sa.and_(given, c.effective_at.is_not(None)))
    return f"主管部门通知 instructions {row.given:,}, 已处置 acted on {row.disposed:,}"


def _counts(connection: sa.Connection, **conditions: sa.ColumnElement[bool]) -> Any:
    """How many tickets meet each condition, in one look at the queue."""
    from tickets.tables import tickets

    counted = [sa.func.count().filter(condition).label(name) for name, condition in conditions.items()]
    return connection.execute(sa.select(*counted).select_from(tickets)).one()


def _measures(connection: sa.Connection) -> str:
    from tickets.states import Measure
    from tickets.tables import tickets

    c = tickets.c
    rows = connection.execute(
        sa.select(c.measure, sa.func.count().label("n")).where(c.measure.is_not(None)).group_by(c.measure)
    )
    found = {row.measure: row.n for row in rows}
    said = [f"{one.chinese} {one.value} {found[one.value]:,}" for one in Measure if one.value in found]
    return f"处置措施 measures: {', '.join(said) or '没有 none'}"


def _purges(connection: sa.Connection) -> str:
    from retention.purge.plan import APPROVED, CERTIFIED, FINAL, RUNNING
    from retention.purge.tables import purges

    rows = connection.execute(sa.select(purges.c.state, sa.func.count().label("n")).group_by(purges.c.state))
    found = {row.state: row.n for row in rows}
    done = found.get(CERTIFIED, 0) + found.get(FINAL, 0)
    waiting = found.get(APPROVED, 0) + found.get(RUNNING, 0)
    return f"销毁证明 certificates of destruction {done:,}, 待执行 approved and waiting {waiting:,}"


def _disclosures(connection: sa.Connection) -> str:
    from retention.disclosure.tables import disclosures, exports

    if not sa.inspect(connection).has_table(disclosures.name):
        return "申请 requests 0"
    rows = connection.execute(sa.select(disclosures.c.state, sa.func.count().label("n")).group_by(disclosures.c.state))
    found = {row.state: row.n for row in rows}
    handed = connection.execute(sa.select(sa.func.count()).select_from(exports)).scalar_one()
    return (
        f"申请 requests {sum(found.values()):,}, 已批准 approved {found.get('approved', 0):,}, "
        f"已拒绝 refused {found.get('refused', 0):,}, 导出 handed out {handed:,}"
    )


def _own_rules(opened: OpenStore) -> str:
    """Rules beyond the packs that ship: which businesses want a licence is told by lists of the platform's own."""
    from detectors.default import PACKS
    from detectors.keywords.layers import Layers, read_layers
    from detectors.keywords.rules import State
    from liucun.rule_layers import layers_of, today

    ship = {one.id for one in read_layers(Layers((PACKS,)), today()).written}
    rules = read_layers(layers_of(opened.root, opened.settings.detect), today()).running.rules
    own = sum(1 for one in rules if one.state is State.LIVE and one.id not in ship)
    return (
        f"自备规则 rules of one's own: {own:,} 条在运行 live"
        if own
        else "未载入自备名单 no list of one's own is loaded"
    )
