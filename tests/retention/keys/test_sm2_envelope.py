"""The SM2 envelope: who holds the public key writes and cannot read; what changes it is refused."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from errors import KeyAccessError, NotPermittedError, UsageError
from retention.crypto.bodies import BodyCipher
from retention.crypto.suites import suite
from retention.errors import (
    KeyDestroyedError,
    KeyRefusedError,
    KeyRingDamagedError,
    KeyRingMissingError,
    WrongPassphraseError,
)
from retention.keys.contexts import BY_COLLECTOR, period_context
from retention.keys.index import IndexKeys
from retention.keys.keyring import KeyRing
from retention.keys.periods import ALWAYS, PeriodKeys
from retention.keys.settings import Sm2Settings
from retention.keys.signing import load_signers
from retention.keys.sm2_envelope import Sm2Envelope
from retention.keys.tables import period_keys
from retention.objects.local import LocalObjects
from retention.segments import Archive, open_segment
from tests.retention.samples import CHEAP, segment

SETTINGS = Sm2Settings()
KEY, CONTEXT = bytes(range(32)), b"context"
COLLECTED = BY_COLLECTOR + CONTEXT


def never() -> str:
    raise AssertionError("a passphrase was asked for where there is nothing to open")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The machine with the private key."""
    folder = tmp_path / "home"
    folder.mkdir()
    Sm2Envelope.create(folder, SETTINGS, "right", cost=CHEAP)
    return folder


@pytest.fixture
def collector(home: Path, tmp_path: Path) -> Path:
    """A machine with the public key alone."""
    folder = tmp_path / "collector"
    (folder / "keys").mkdir(parents=True)
    shutil.copy(home / SETTINGS.public_key, folder / SETTINGS.public_key)
    return folder


def at(folder: Path, secret: Callable[[], str] = lambda: "right") -> Sm2Envelope:
    return Sm2Envelope.open(folder, SETTINGS, secret)


def test_what_a_collector_wraps_only_the_private_key_opens(home: Path, collector: Path) -> None:
    writer = at(collector, never)
    assert not writer.description.can_unwrap
    blob = writer.wrap(KEY, COLLECTED)
    assert KEY not in blob
    with pytest.raises(KeyRefusedError, match="cannot read") as caught:
        writer.unwrap(blob, COLLECTED)
    assert caught.value.exit_code == 4
    assert at(home).unwrap(blob, COLLECTED) == KEY
    assert at(home).description.key_id == writer.description.key_id


@pytest.mark.parametrize("context", [CONTEXT, COLLECTED])
@pytest.mark.parametrize("who", ["home", "collector"])
def test_every_changed_byte_and_another_context_are_refused(
    home: Path, collector: Path, who: str, context: bytes
) -> None:
    reader = at(home)
    blob = (reader if who == "home" else at(collector, never)).wrap(KEY, context)
    with pytest.raises(KeyRefusedError):
        reader.unwrap(blob, context + b"elsewhere")
    for index in range(len(blob)):
        changed = blob[:index] + bytes([blob[index] ^ 1]) + blob[index + 1 :]
        with pytest.raises(KeyRefusedError):
            reader.unwrap(changed, context)
    for cut in (*range(60), len(blob) - 1):
        with pytest.raises(KeyRefusedError):
            reader.unwrap(blob[:cut], context)
    if (who, context) != ("collector", CONTEXT):
        assert reader.unwrap(blob, context) == KEY


def test_a_key_that_somebody_planted_is_refused_and_nothing_is_sealed_under_it(
    home: Path, collector: Path, tmp_path: Path
) -> None:
    """Who owns the database and the public key can wrap a key of his choice; the home must not seal under it."""
    url = f"sqlite:///{tmp_path / 'periods.db'}"
    keys = PeriodKeys.open(url, at(home), create=True)
    place = ("content", "2026-10")

    def plant(key_id: str, generation: int, *, collector_key: bool) -> None:
        context = period_context(key_id, *place, collector=collector_key)
        with keys.database.write() as connection:
            connection.execute(
                period_keys.insert().values(
                    key_id=key_id,
                    record_class=place[0],
                    period=place[1],
                    generation=generation,
                    wrapped=at(collector, never).wrap(KEY, context),
                    created_at="2026-10-01",
                    collector=collector_key,
                )
            )

    plant("as-a-collector", 7, collector_key=True)
    own = keys.current(*place)
    assert own.key_id != "as-a-collector"
    assert keys.get("as-a-collector").key == KEY
    keys.close()
    keys = PeriodKeys.open(url, at(home))
    plant("as-the-home", 9, collector_key=False)
    for use in (lambda: keys.current(*place), lambda: keys.get("as-the-home"), lambda: keys.rewrap(at(home))):
        with pytest.raises(KeyRefusedError, match="not made by a holder"):
            use()
    with keys.database.write() as connection:
        c = period_keys.c
        connection.execute(period_keys.delete().where(c.key_id == "as-the-home"))
        connection.execute(
            period_keys.update().where(c.key_id == "as-a-collector").values(collector=False, generation=9)
        )
    with pytest.raises(KeyRefusedError):
        keys.current(*place)
    keys.close()


def test_collectors_keys_stay_theirs_through_every_move(home: Path, collector: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'periods.db'}"
    PeriodKeys.open(url, at(home), create=True).close()
    writer = PeriodKeys.open(url, at(collector, never))
    theirs = writer.current("content", "2026-10")
    writer.close()
    ring = KeyRing.create(tmp_path / "ring.json", "p", cost=CHEAP)
    keys = PeriodKeys.open(url, at(home))
    for provider in (at(home), ring, at(home)):
        keys.rewrap(provider)
        assert keys.get(theirs.key_id).key == theirs.key
    assert [(key.key_id, key.collector) for key in keys.list()] == [(theirs.key_id, True)]
    assert keys.current("content", "2026-10").key_id != theirs.key_id
    keys.close()


def test_the_wrong_passphrase_and_damaged_files(home: Path) -> None:
    with pytest.raises(WrongPassphraseError):
        at(home, lambda: "wrong")
    private = home / SETTINGS.private_key
    whole = private.read_bytes()
    for damaged in (whole[:-40], whole.replace(b'"version": 1', b'"version": 2'), b"", b"[]", b"\xff"):
        private.write_bytes(damaged)
        with pytest.raises(KeyRingDamagedError):
            at(home)
    private.write_bytes(whole)
    (home / SETTINGS.public_key).write_text("no key")
    with pytest.raises(KeyAccessError, match="no SM2 public key"):
        at(home)
    (home / SETTINGS.public_key).unlink()
    with pytest.raises(KeyRingMissingError):
        at(home)


def test_private_keys_of_another_store_are_refused(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Sm2Envelope.create(other, SETTINGS, "right", cost=CHEAP)
    shutil.copy(other / SETTINGS.private_key, home / SETTINGS.private_key)
    with pytest.raises(KeyRefusedError, match="not those of the public key"):
        at(home)


def test_files_are_never_replaced_by_create(home: Path) -> None:
    before = (home / SETTINGS.private_key).read_bytes()
    with pytest.raises(UsageError):
        Sm2Envelope.create(home, SETTINGS, "right", cost=CHEAP)
    assert (home / SETTINGS.private_key).read_bytes() == before
    assert (home / SETTINGS.private_key).stat().st_mode & 0o777 == 0o600


def test_rotation_keeps_what_was_wrapped_readable_until_it_is_forgotten(home: Path) -> None:
    provider = at(home)
    blob, first = provider.wrap(KEY, CONTEXT), provider.description.key_id
    second = provider.rotate()
    reopened = at(home)
    assert reopened.description.key_id == second
    assert reopened.unwrap(blob, CONTEXT) == KEY
    with pytest.raises(UsageError):
        reopened.forget(second)
    reopened.forget(first)
    with pytest.raises(KeyRefusedError, match=first):
        at(home).unwrap(blob, CONTEXT)


def test_a_collector_cannot_rotate(collector: Path) -> None:
    with pytest.raises(UsageError):
        at(collector, never).rotate()


def test_a_write_only_archive(home: Path, collector: Path, tmp_path: Path, catalogue_url: str) -> None:
    """The collector seals segments and texts; it reads back none of another process; home reads all."""
    url = catalogue_url
    index = IndexKeys.create(home / "index.json")
    objects = LocalObjects(tmp_path / "objects")
    PeriodKeys.open(url, at(home), create=True).close()

    writer = PeriodKeys.open(url, at(collector, never), index=index)
    first = segment(Archive(objects, writer, suite()), 20)
    again = segment(Archive(objects, writer, suite()), 20)
    assert first.key_id == again.key_id
    bodies = BodyCipher.from_period_keys(writer, suite(), "bodies")
    sealed, blind = bodies.seal(b"a text", b"place"), bodies.blind("u1", "account")
    with pytest.raises(KeyRefusedError):
        load_signers(writer)
    writer.close()

    later = PeriodKeys.open(url, at(collector, never), index=index)
    with pytest.raises(KeyRefusedError, match="cannot read"):
        open_segment(Archive(objects, later, suite()), first)
    with pytest.raises(KeyRefusedError):
        BodyCipher.from_period_keys(later, suite(), "bodies").open(sealed, b"place")
    third = segment(Archive(objects, later, suite()), 20)
    assert third.key_id != first.key_id
    assert BodyCipher.from_period_keys(later, suite(), "bodies").blind("u1", "account") == blind
    later.close()

    reader = PeriodKeys.open(url, at(home), index=index)
    for manifest in (first, again, third):
        opened = open_segment(Archive(objects, reader, suite()), manifest)
        opened.verify()
    assert BodyCipher.from_period_keys(reader, suite(), "bodies").open(sealed, b"place") == b"a text"
    reader.destroy(third.key_id)
    with pytest.raises(KeyDestroyedError):
        open_segment(Archive(objects, reader, suite()), third)
    open_segment(Archive(objects, reader, suite()), first).verify()
    reader.close()


def test_a_key_destroyed_elsewhere_is_not_used_again_by_a_collector(
    home: Path, collector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'periods.db'}"
    reader = PeriodKeys.open(url, at(home), create=True)
    writer = PeriodKeys.open(url, at(collector, never))
    monkeypatch.setattr("retention.keys.memory.FORGET_SECONDS", 0.0)
    key = writer.current("content", "2026-10")
    assert writer.current("content", "2026-10").key_id == key.key_id
    reader.destroy(key.key_id)
    assert writer.current("content", "2026-10").key_id != key.key_id
    for opened in (reader, writer):
        opened.close()


def test_a_store_moves_from_the_key_ring_to_the_envelope(home: Path, tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "ring.json", "p", cost=CHEAP)
    keys = PeriodKeys.open(f"sqlite:///{tmp_path / 'periods.db'}", ring, create=True)
    key = keys.current("content", "2026-10")
    assert keys.rewrap(at(home)) == 1
    keys.close()
    moved = PeriodKeys.open(f"sqlite:///{tmp_path / 'periods.db'}", at(home))
    assert moved.get(key.key_id).key == key.key
    moved.close()
    stale = PeriodKeys.open(f"sqlite:///{tmp_path / 'periods.db'}", ring)
    with pytest.raises(KeyRefusedError, match="'sm2', not 'keyring'"):
        stale.get(key.key_id)
    stale.close()


def test_index_keys(tmp_path: Path, home: Path) -> None:
    made = IndexKeys.create(tmp_path / "index.json", kept={"system:bodies": KEY})
    read = IndexKeys.read(tmp_path / "index.json")
    assert read is not None
    assert read.key("system:bodies") == KEY
    assert read.key("system:other") == made.key("system:other") != made.key("system:third")
    assert IndexKeys.read(tmp_path / "none.json") is None
    for damaged in (b"", b"{}", b"[]", b'{"format": 1, "version": 1, "secret": "AA==", "kept": {}}'):
        (tmp_path / "index.json").write_bytes(damaged)
        with pytest.raises(KeyRingDamagedError):
            IndexKeys.read(tmp_path / "index.json")
    keys = PeriodKeys.open(f"sqlite:///{tmp_path / 'periods.db'}", at(home), create=True)
    assert keys.index_key("system:bodies") == keys.current("system:bodies", ALWAYS).key
    keys.close()


@pytest.mark.services
def test_a_collector_s_account_needs_to_read_and_insert_only(home: Path, collector: Path, postgres_url: str) -> None:
    """So a collector taken over can destroy no key (docs/keys.md)."""
    PeriodKeys.open(postgres_url, at(home), create=True).close()
    role, password = f"collector_{secrets.token_hex(4)}", secrets.token_hex(8)
    admin = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
        connection.exec_driver_sql(f"GRANT SELECT, INSERT ON period_keys TO {role}")
        connection.exec_driver_sql(f"GRANT SELECT ON alembic_version_keys TO {role}")
    try:
        url = sa.make_url(postgres_url).set(username=role, password=password).render_as_string(hide_password=False)
        writer = PeriodKeys.open(url, at(collector, never))
        made = writer.current("content", "2026-10")
        assert writer.current("content", "2026-10") == made
        with pytest.raises(NotPermittedError):
            writer.destroy(made.key_id)
        writer.close()
        reader = PeriodKeys.open(postgres_url, at(home))
        assert reader.get(made.key_id).key == made.key
        reader.close()
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")
        admin.dispose()
