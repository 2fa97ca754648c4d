"""A sealed store with its transparency log, a ticket, and a second custodian."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from liucun.store import TICKET_SCRIPTS
from retention.audits.history import add_history
from retention.audits.integrity import audit_integrity
from retention.audits.report import AuditReport
from retention.catalogue.migrate import migrate
from retention.transparency.custodian import CustodianFolder
from retention.transparency.keeping import LogKeeper
from retention.transparency.verify import verify_log
from tests.retention.sealed_store import SealedStore, hours, make_store
from tickets.opening import ContentFinding, Hit, open_or_extend, prepare


@dataclass(slots=True)
class Logged:
    """A store that was at work in March: three segments, a ticket, everything witnessed."""

    store: SealedStore
    log: LogKeeper
    custodian: Path

    def audit(self) -> AuditReport:
        """The integrity audit, history included."""
        report = audit_integrity(self.store)
        add_history(report, verify_log(self.log), whole=True)
        return report

    def kinds(self) -> set[str]:
        """Kinds of the faults that the audit finds."""
        return {fault.kind for fault in self.audit().faults}


def keeper(store: SealedStore, custodian: Path | None) -> LogKeeper:
    """The log of a store."""
    place = None if custodian is None else CustodianFolder(custodian)
    return LogKeeper(
        store.catalogue, store.objects, store.period_keys, store.archive.suite, place=place, place_name="the notary"
    )


def open_ticket(store: SealedStore, offset: int) -> None:
    """Open a ticket for the content at an offset."""
    hit = Hit("gambling/1", "gambling", None, 3, 0, 2, "赌球", 0.9, "test/1")
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    content = ContentFinding("app", "app.log#1", offset, None, "user_log", "u1", "text", "赌球上分", moment, (hit,))
    with store.catalogue.write() as connection:
        open_or_extend(connection, prepare(store.bodies, [content], now=moment))


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[Logged]:
    """The store as it was before anybody touched it."""
    root, custodian = tmp_path / "store", tmp_path / "notary"
    root.mkdir()
    custodian.mkdir()
    store = make_store(root)
    migrate(store.catalogue, room="tickets", script_location=TICKET_SCRIPTS)
    log = keeper(store, custodian)
    for n in range(3):
        store.add(hours(20 + n))
        open_ticket(store, 200 * n)
        log.keep()
    yield Logged(store, log, custodian)
    store.catalogue.close()
    store.period_keys.close()
