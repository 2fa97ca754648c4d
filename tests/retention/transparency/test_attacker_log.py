"""The attacker works on the log itself: its events, queue, objects, signed states and keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from errors import SettingsError
from liucun.store import TICKET_SCRIPTS
from retention.catalogue.migrate import migrate
from retention.catalogue.tables import (
    checkpoints,
    log_pending,
)
from retention.catalogue.tables import events as event_table
from retention.transparency.note import Ed25519Signer
from retention.transparency.pinning import LIMIT, read_pins
from retention.transparency.sequencer import sequence
from tests.retention.sealed_store import hours, make_store
from tests.retention.transparency.conftest import Logged, keeper, open_ticket


def test_he_edits_or_drops_an_event(logged: Logged) -> None:
    with logged.store.catalogue.write() as connection:
        connection.execute(event_table.update().where(event_table.c.id == 1).values(actor="os:somebody"))
        connection.execute(event_table.delete().where(event_table.c.id == 3))
    assert {"entry_changed", "entry_missing"} <= logged.kinds()


def test_he_empties_the_queue_of_the_log(logged: Logged) -> None:
    """An event that the log was never told of is a fault of its own."""
    open_ticket(logged.store, 5000)
    with logged.store.catalogue.write() as connection:
        connection.execute(log_pending.delete())
    assert "entry_unlogged" in logged.kinds()


def test_he_damages_the_entries_objects(logged: Logged) -> None:
    name = next(iter(logged.store.objects.list("log/entries/")))
    data = bytearray(logged.store.objects.read(name))
    data[-1] ^= 1
    logged.store.objects.delete(name)
    logged.store.objects.put(name, data)
    assert "entries_refused" in logged.kinds()


def test_he_replaces_the_whole_store_under_new_keys(logged: Logged, tmp_path: Path) -> None:
    """The custodian has never seen such a log, and says whose he has."""
    root = tmp_path / "other"
    root.mkdir()
    other = make_store(root)
    migrate(other.catalogue, room="tickets", script_location=TICKET_SCRIPTS)
    other.add(hours(20))
    sequence(keeper(other, None))
    verdict = Logged(other, keeper(other, logged.custodian), logged.custodian).audit()
    assert not verdict.anchored
    assert "custodian_stranger" in {notice.kind for notice in verdict.notices}
    # Also when he handed it over: the other log that the custodian holds is named.
    keeper(other, logged.custodian).keep()
    verdict = Logged(other, keeper(other, logged.custodian), logged.custodian).audit()
    assert "custodian_stranger" in {notice.kind for notice in verdict.notices}
    # Who keeps the archive's keys himself is told that it is another's.
    pins = tmp_path / "pins"
    pins.write_text("".join(f"{verifier.encode()}\n" for verifier in logged.log.verifiers))
    forged = keeper(other, logged.custodian)
    forged.pinned = read_pins(pins)
    verdict = Logged(other, forged, logged.custodian).audit()
    assert {fault.kind for fault in verdict.faults} == {"log_not_pinned"}
    assert not verdict.anchored
    logged.log.pinned = read_pins(pins)
    assert logged.audit().anchored
    other.catalogue.close()
    other.period_keys.close()


def test_he_signs_with_keys_of_his_own_under_the_logs_name(logged: Logged) -> None:
    """A name is no key."""
    (name,) = {verifier.name for verifier in logged.log.verifiers}
    logged.log.pinned = (Ed25519Signer(name, bytes(32)).verifier,)
    assert logged.kinds() == {"signature_not_pinned"}


def test_he_empties_the_signed_states_so_that_none_is_compared(logged: Logged) -> None:
    logged.log.pinned = logged.log.verifiers
    assert logged.audit().anchored
    with logged.store.catalogue.write() as connection:
        connection.execute(checkpoints.delete())
    assert {"log_not_pinned", "log_length"} <= logged.kinds()


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\n", b"name+00000000+AA==\n", b"x" * (LIMIT + 1), None])
def test_a_file_of_keys_that_is_none_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "pins"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError):
        read_pins(path)
    names = [Ed25519Signer(name, bytes(32)).verifier.encode() for name in ("one/log", "other/log")]
    path.write_text("\n".join(names))
    with pytest.raises(SettingsError, match="several logs"):
        read_pins(path)


def test_without_a_custodian_nothing_is_anchored(logged: Logged) -> None:
    report = Logged(logged.store, keeper(logged.store, None), logged.custodian).audit()
    assert report.ok
    assert not report.anchored
