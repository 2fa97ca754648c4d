"""What people decided about the archive: destructions with their certificates, holds, records provided to authorities.

An inspector asks for these by number; what they say of persons and cases stays sealed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa

from retention.audits.figures import class_name
from retention.audits.moments import in_shanghai
from retention.audits.report import Table
from retention.disclosure.tables import accounts, approvals, disclosures, exports
from retention.holds.tables import holds
from retention.purge.beside import destroyed_beside
from retention.purge.tables import purge_segments, purge_units, purges

_PURGES: Final = {
    "planned": "已计划 planned", "approved": "已批准,等待期 approved, waiting", "running": "执行中 running",
    "certified": "已出证明 certified", "final": "证明已生效 final", "cancelled": "已撤回 cancelled",
}  # fmt: skip
_HOLDS: Final = {
    "segment": "封存段 segments", "account": "账号 accounts", "span": "时间段 span", "ticket": "工单 ticket",
    "query": "查询结果 query",
}  # fmt: skip
_DISCLOSURES: Final = {
    "requested": "已申请 requested", "approved": "已批准 approved", "refused": "已拒绝 refused",
}  # fmt: skip
NOT_YET: Final = "—"


def purges_table(connection: sa.Connection) -> Table:
    """Every purge: what it was about, who planned and approved it, what went and when its certificate counts."""
    p, u = purges.c, purge_units.c
    units: dict[str, list[Any]] = defaultdict(list)
    for unit in connection.execute(sa.select(purge_units).order_by(u.purge_id, u.record_class, u.periods)):
        units[unit.purge_id].append(unit)
    rows = connection.execute(sa.select(purges).order_by(p.planned_at, p.purge_id)).all()
    # What went, as its certificate counts it: rows of a divided unit that were sealed anew are still there.
    s = purge_segments.c
    counted = sa.select(s.purge_id, sa.func.sum(s.rows).label("rows")).group_by(s.purge_id)
    gone = {one.purge_id: int(one.rows) for one in connection.execute(counted)}
    return Table(
        "purges",
        "销毁与销毁证明 Destructions and their certificates",
        (
            "编号与状态 Number, state",
            "范围 What",
            "计划与批准 Planned, approved",
            "执行与生效 Done, final",
            "记录 Records",
        ),
        tuple(
            (
                f"{row.purge_id}\n{_PURGES.get(row.state, row.state)}",
                _what(units[row.purge_id]),
                f"{_step(row.planned_by, row.planned_at)}\n{_step(row.approved_by, row.approved_at)}",
                f"{_at(row.finished_at)}\n{_at(row.final_after)}",
                f"{gone.get(row.purge_id, 0) + destroyed_beside(connection, row.purge_id):,}",
            )
            for row in rows
        ),
        widths=(2.6, 2.5, 3, 2.2, 1.4),
        numbers=frozenset({4}),
    )


def holds_table(connection: sa.Connection) -> Table:
    """Every hold, those that were released with who released it and the digest of the document that allowed it."""
    h = holds.c
    return Table(
        "holds",
        "保全 Holds",
        ("编号 Number", "对象 Of what", "设置 Placed", "解除 Released", "文件摘要 Digest of the document"),
        tuple(
            (
                row.hold_id,
                _HOLDS.get(row.kind, row.kind) + (f"\n{class_name(row.record_class)}" if row.record_class else ""),
                _step(row.placed_by, row.placed_at),
                _step(row.released_by, row.released_at) if row.released_at else "保全中 in force",
                _halves(row.proof_digest) if row.proof_digest else NOT_YET,
            )
            for row in connection.execute(sa.select(holds).order_by(h.placed_at, h.hold_id))
        ),
        widths=(2.7, 1.6, 2.1, 2.1, 4),
    )


def disclosures_table(connection: sa.Connection) -> Table:
    """Every request of an authority: who entered and who approved it, until when it counts, what was handed out."""
    # The tables are made by the first command that concerns one.
    there = sa.inspect(connection).has_table(disclosures.name)
    return Table(
        "disclosures",
        "向主管部门提供 Provided to authorities",
        ("编号与状态 Number, state", "申请 Requested", "批准 Approved", "有效至 Until", "导出 Handed out"),
        tuple(_disclosed(connection)) if there else (),
        widths=(2.6, 2.4, 2.4, 1.9, 2.4),
    )


def _disclosed(connection: sa.Connection) -> Iterator[tuple[str, ...]]:
    agreed: dict[str, list[str]] = defaultdict(list)
    for one in connection.execute(sa.select(approvals).order_by(approvals.c.at)):
        agreed[one.disclosure_id].append(_step(one.approver, one.at))
    handed: dict[str, list[str]] = defaultdict(list)
    for one in connection.execute(sa.select(exports).order_by(exports.c.number)):
        handed[one.disclosure_id].append(f"{_step(one.exported_by, one.at)}\n{one.rows:,} 条 records")
    counted = sa.select(accounts.c.disclosure_id, sa.func.count().label("n")).group_by(accounts.c.disclosure_id)
    about: dict[str, int] = {one.disclosure_id: one.n for one in connection.execute(counted)}
    d = disclosures.c
    chosen = sa.select(d.disclosure_id, d.state, d.requested_by, d.requested_at, d.expires_at)
    for row in connection.execute(chosen.order_by(d.requested_at, d.disclosure_id)):
        yield (
            f"{row.disclosure_id}\n{_DISCLOSURES.get(row.state, row.state)}",
            f"{_step(row.requested_by, row.requested_at)}\n{about.get(row.disclosure_id, 0)} 个账号 accounts",
            "\n".join(agreed[row.disclosure_id]) or NOT_YET,
            _at(row.expires_at),
            "\n".join(handed[row.disclosure_id]) or NOT_YET,
        )


def _what(units: list[Any]) -> str:
    months: dict[str, list[str]] = defaultdict(list)
    for unit in units:
        months[unit.record_class].append(unit.periods)
    return "\n".join(f"{class_name(name)} {' '.join(periods)}" for name, periods in months.items()) or NOT_YET


def _halves(digest: str) -> str:
    """A digest in two lines, so that it stays whole in a column and in what is copied from it."""
    return f"{digest[:32]}\n{digest[32:]}"


def _step(who: str | None, at: str | None) -> str:
    return f"{who} {_at(at)}" if who else NOT_YET


def _at(at: str | None) -> str:
    return in_shanghai(at) if at else NOT_YET
