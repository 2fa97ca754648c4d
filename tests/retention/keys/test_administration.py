"""Changes of keys that are cut off: everything still opens, and the missing end is on record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from errors import UsageError
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import events
from retention.errors import KeyProviderError
from retention.keys import administration
from retention.keys.keyring import KeyRing
from retention.keys.periods import PeriodKeys
from retention.keys.provider import ProviderDescription
from retention.keys.settings import Sm2Settings
from retention.keys.sm2_envelope import Sm2Envelope
from tests.retention.samples import CHEAP


class PowerCutError(Exception):
    """The process ends here."""


@pytest.fixture
def catalogue(bare_catalogue: Catalogue) -> Catalogue:
    return bare_catalogue


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[PeriodKeys]:
    ring = KeyRing.create(tmp_path / "ring.json", "p", cost=CHEAP)
    opened = PeriodKeys.open(f"sqlite:///{tmp_path / 'periods.db'}", ring, create=True)
    opened.current("content", "2026-10")
    yield opened
    opened.close()


def kinds(catalogue: Catalogue) -> list[str]:
    with catalogue.read() as connection:
        return list(connection.execute(sa.select(events.c.kind).order_by(events.c.id)).scalars())


def reopened(tmp_path: Path) -> list[bytes]:
    keys = PeriodKeys.open(f"sqlite:///{tmp_path / 'periods.db'}", KeyRing.open(tmp_path / "ring.json", "p"))
    found = [keys.get(record.key_id).key for record in keys.list()]
    keys.close()
    return found


def test_a_rotation_cut_off_before_its_rewrapping(
    catalogue: Catalogue, keys: PeriodKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [keys.get(record.key_id).key for record in keys.list()]

    def cut(*_: object) -> int:
        raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr("retention.keys.periods.rewrap_all", cut)
        with pytest.raises(PowerCutError):
            administration.rotate(catalogue, keys, actor="os:test")
    assert kinds(catalogue) == ["keys.rotate.begun"]
    assert reopened(tmp_path) == before
    change = administration.rewrap(catalogue, keys, keys.provider, actor="os:test", forget_old=True)
    assert len(change.forgotten) == 1
    assert reopened(tmp_path) == before
    assert kinds(catalogue)[1:] == ["keys.rewrap.begun", "keys.rewrap.done"]


def test_a_provider_that_fails_in_the_middle_changes_nothing(
    catalogue: Catalogue, keys: PeriodKeys, tmp_path: Path
) -> None:
    keys.current("content", "2026-11")
    before = [keys.get(record.key_id).key for record in keys.list()]

    class Failing:
        wrapped = 0

        @property
        def description(self) -> ProviderDescription:
            return ProviderDescription("failing", "f-1")

        def wrap(self, key: bytes, context: bytes) -> bytes:
            self.wrapped += 1
            if self.wrapped > 1:
                raise KeyProviderError("The device is gone.", cure="Connect it.")
            return b"\x01\x07failing\x03f-1" + key

        def unwrap(self, blob: bytes, context: bytes) -> bytes:
            raise AssertionError

    with pytest.raises(KeyProviderError):
        administration.rewrap(catalogue, keys, Failing(), actor="os:test")
    assert kinds(catalogue) == ["keys.rewrap.begun", "keys.rewrap.failed"]
    assert reopened(tmp_path) == before


def test_a_provider_without_a_rotation_of_its_own_says_how(catalogue: Catalogue, keys: PeriodKeys) -> None:
    class Fixed:
        @property
        def description(self) -> ProviderDescription:
            return ProviderDescription("sdf", "kek-1")

        def wrap(self, key: bytes, context: bytes) -> bytes:
            raise AssertionError

        def unwrap(self, blob: bytes, context: bytes) -> bytes:
            raise AssertionError

    keys.use(Fixed())
    with pytest.raises(UsageError, match="does not make its next key itself"):
        administration.rotate(catalogue, keys, actor="os:test")
    assert kinds(catalogue) == []


def test_a_rotation_of_sm2_cut_off_between_its_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Sm2Envelope.create(tmp_path, Sm2Settings(), "p", cost=CHEAP)
    blob, before = provider.wrap(bytes(32), b"context"), provider.description.key_id

    def cut(*_: object, **__: object) -> None:
        raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr(Sm2Envelope, "_write_public", cut)
        with pytest.raises(PowerCutError):
            provider.rotate()
    back = Sm2Envelope.open(tmp_path, Sm2Settings(), lambda: "p")
    assert back.description.key_id == before
    assert back.unwrap(blob, b"context") == bytes(32)
    assert back.rotate() != before
    assert Sm2Envelope.open(tmp_path, Sm2Settings(), lambda: "p").unwrap(blob, b"context") == bytes(32)
