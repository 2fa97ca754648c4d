"""A whole log by the second reader alone: entries from their objects, roots, signatures, images."""

from __future__ import annotations

import sqlite3

import pytest
from cryptography.exceptions import InvalidSignature

from tests.independent_reader import log_reader as second
from tests.independent_reader.reader import RefusedError
from tests.retention.transparency.conftest import Logged, logged

__all__ = ["logged"]


def test_the_second_reader_adds_the_log_up(logged: Logged) -> None:
    keys = {key.key_id: logged.store.period_keys.get(key.key_id).key for key in logged.store.period_keys.list()}
    (folder,) = logged.custodian.iterdir()
    ed25519 = next(line for line in (folder / "keys").read_text().splitlines() if len(line) < 110)
    notes = sorted(path for path in folder.iterdir() if path.name != "keys")
    origin, size, _ = second.check_note(notes[-1].read_text(), ed25519)
    assert origin.replace("/", "-") == folder.name

    leaves, imaged = [], 0
    for name in second.in_order(list(logged.store.objects.list("log/entries/"))):
        suite, lines = second.read_entries(name, logged.store.objects.read(name), origin, keys)
        for line in lines:
            leaves.append(second.leaf(suite, line))
            if line["type"] == "event":
                second.check_images(suite, line)
                imaged += line["payload"] is not None
    assert len(leaves) == size
    assert imaged == 3
    for note in notes:
        _, seen, root = second.check_note(note.read_text(), ed25519)
        assert second.root(suite, leaves[:seen]) == root
    with sqlite3.connect(logged.store.root / "catalogue.db") as connection:
        assert connection.execute("SELECT max(size) FROM checkpoints").fetchone() == (size,)


def test_it_refuses_what_was_changed(logged: Logged) -> None:
    keys = {key.key_id: logged.store.period_keys.get(key.key_id).key for key in logged.store.period_keys.list()}
    (folder,) = logged.custodian.iterdir()
    ed25519 = next(line for line in (folder / "keys").read_text().splitlines() if len(line) < 110)
    note = max(path for path in folder.iterdir() if path.name != "keys").read_text()
    origin, *_ = second.check_note(note, ed25519)
    name = next(iter(logged.store.objects.list("log/entries/")))
    data = bytearray(logged.store.objects.read(name))
    data[-1] ^= 1
    with pytest.raises(RefusedError):
        second.read_entries(name, bytes(data), origin, keys)
    with pytest.raises(InvalidSignature):
        second.check_note(note.replace("\ntime 2", "\ntime 3"), ed25519)
