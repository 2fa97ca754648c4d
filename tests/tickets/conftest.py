"""A catalogue with the queue's tables, and bodies that seal visibly."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from errors import IntegrityError
from liucun.store import TICKET_SCRIPTS
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate
from retention.crypto.suites import suite
from retention.segments import Archive
from retention.transparency.verdict import LogVerdict
from retention.transparency.verify_images import check_images
from tests.retention.samples import archive as cheap_archive
from tests.tickets.people import MING
from tests.tickets.receivers import Received, http_receiver
from tests.tickets.reporting import COMPANY
from tests.tickets.sending import SECRET
from tickets.calendar.reading import shipped_calendar
from tickets.reports.filing import ReportBook
from tickets.service import Desk
from tickets.settings import PlatformSettings, TicketSettings


class PlainBodies:
    """Bodies for tests: bound to their context, readable by whoever debugs."""

    def text_key(self, month: str, record_class: str = "ticket_text") -> str:
        return f"{record_class}-{month}"

    def seal(self, plaintext: bytes, context: bytes, *, under: str | None = None) -> bytes:
        return hashlib.sha256(context).digest() + plaintext[::-1]

    def open(self, blob: bytes, context: bytes) -> bytes:
        if blob[:32] != hashlib.sha256(context).digest():
            raise IntegrityError("Sealed for another place.", cure="-")
        return blob[32:][::-1]

    def blind(self, value: str, purpose: str) -> str:
        return hashlib.sha256(f"{purpose}\x00{value}".encode()).hexdigest()


@pytest.fixture
def bodies() -> PlainBodies:
    return PlainBodies()


@pytest.fixture
def catalogue(catalogue_url: str, request: pytest.FixtureRequest):
    opened = Catalogue.open(catalogue_url)
    migrate(opened)
    migrate(opened, room="tickets", script_location=TICKET_SCRIPTS)
    yield opened
    if request.node.get_closest_marker("tampers") is None:
        assert changed_without_event(opened) == []
    opened.close()


def changed_without_event(catalogue: Catalogue) -> list[str]:
    """Rows that differ from what the last event about them says: every change must leave one."""
    verdict = LogVerdict()
    with catalogue.read() as connection:
        check_images(connection, suite(), verdict, lambda *_: None)
    return [f"{fault.kind} {fault.where} {fault.detail}" for fault in verdict.faults]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return cheap_archive(tmp_path)


@pytest.fixture
def desk(catalogue: Catalogue, bodies: PlainBodies, archive: Archive) -> Desk:
    return Desk(catalogue, bodies, shipped_calendar(), "os:alice", archive=archive)


@pytest.fixture
def book(catalogue: Catalogue, bodies: PlainBodies, archive: Archive) -> ReportBook:
    return ReportBook(catalogue, bodies, shipped_calendar(), MING, company=COMPANY, archive=archive)


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch):
    """A platform that takes orders by HTTP."""
    monkeypatch.setenv("LIUCUN_PLATFORM_SECRET", SECRET)
    with http_receiver() as received:
        yield received


@pytest.fixture
def ordering(catalogue: Catalogue, bodies: PlainBodies, archive: Archive, platform: Received) -> Desk:
    """A desk that orders what it disposes of at the platform."""
    settings = TicketSettings(platform=PlatformSettings(url=f"http://127.0.0.1:{platform.port}/orders"))
    return Desk(catalogue, bodies, shipped_calendar(), "os:alice", settings, archive=archive)
