"""Checks that the log's leaves add up to every state that was signed, here and at the second custodian."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from errors import IntegrityError, StorageError, UnreachableError
from retention.catalogue.tables import checkpoints, log_leaves
from retention.transparency import merkle
from retention.transparency.custodian import Custodian
from retention.transparency.keeping import LogKeeper
from retention.transparency.note import Checkpoint, open_note
from retention.transparency.pinning import check_pins
from retention.transparency.verdict import LogFault, LogVerdict

_PAGE: Final = 2_000
_WITNESSED: Final = 10_000
"""Custodian's checkpoints that one audit compares, the newest and evenly spread older ones."""


def check_states(connection: sa.Connection, log: LogKeeper, custodian: Custodian | None, verdict: LogVerdict) -> None:
    """The leaves add up to every state that was signed, here and at the custodian."""
    signed = {
        row.size: row
        for row in connection.execute(sa.select(checkpoints.c.size, checkpoints.c.root, checkpoints.c.note))
    }
    verdict.checkpoints = len(signed)
    verifiers = log.verifiers
    seen = _witnessed(custodian, verdict) if custodian else {}
    leaf = log_leaves.c
    hashes = connection.execution_options(yield_per=_PAGE).execute(sa.select(leaf.hash).order_by(leaf.index))
    roots = merkle.roots_at(log.suite.hash, (bytes(row[0]) for row in hashes), {*signed, *seen})
    origin = verifiers[0].name if verifiers else ""
    for size, row in signed.items():
        try:
            stated = Checkpoint.read(open_note(row.note, verifiers))
        except IntegrityError as error:
            verdict.add("checkpoint_refused", f"log:{size}", error.what)
            continue
        if (stated.origin, stated.size, stated.root) != (origin, size, roots.get(size)):
            verdict.add("checkpoint_contradicted", f"log:{size}", "The log's entries do not add up to its checkpoint.")
    newest = signed[max(signed)].note if signed else None
    check_pins(log.pinned, origin, newest, custodian, verdict)
    # Leaves and the state over them are one transaction: a log without any signed state is an empty one.
    newest_size = max(signed, default=0)
    if newest_size != verdict.size:
        verdict.add("log_length", "log", f"It has {verdict.size} leaves, its newest checkpoint {newest_size}.")
    for size, witnessed in seen.items():
        if size > verdict.size:
            verdict.add(
                "log_rolled_back",
                f"custodian:{size}",
                f"The custodian has seen {size} entries, the archive's log holds {verdict.size}.",
            )
        elif witnessed.root != roots.get(size):
            verdict.add(
                "log_forked", f"custodian:{size}", "The custodian holds another history: the log was rewritten."
            )


def _witnessed(custodian: Custodian, verdict: LogVerdict) -> dict[int, Checkpoint]:
    verdict.custodian = custodian.name
    found: dict[int, Checkpoint] = {}
    try:
        sizes, keys = custodian.sizes(), custodian.verifiers()
        step = max(len(sizes) // _WITNESSED, 1)
        for size in [*sizes[:-1:step], *sizes[-1:]]:
            try:
                found[size] = custodian.read(size, keys).checkpoint
            except IntegrityError as error:
                verdict.add("witness_refused", f"custodian:{size}", error.what)
        strangers = custodian.others()
    except (UnreachableError, StorageError) as error:
        verdict.notices.append(LogFault("custodian_unreachable", custodian.name, error.what))
        return found
    except IntegrityError as error:
        verdict.add("witness_refused", custodian.name, error.what)
        return found
    if strangers:
        verdict.notices.append(
            LogFault(
                "custodian_stranger",
                custodian.name,
                f"The custodian {'also holds' if found else 'has never seen this log; it holds'} "
                f"{', '.join(strangers[:5])}. If one of these was this archive's, its keys and history were replaced.",
            )
        )
    verdict.witnessed = max(found, default=0)
    return found
