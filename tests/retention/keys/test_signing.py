"""Signing keys of the log: made once, wrapped, verifiable without secrets, bound to their public halves."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from errors import KeyAccessError
from retention.errors import KeyRefusedError
from retention.keys.keyring import KeyRing
from retention.keys.periods import PeriodKeys
from retention.keys.signing import load_signers, load_verifiers, renew_signers
from retention.keys.tables import signing_keys
from retention.transparency.note import Ed25519Signer, NoteError, open_note, read_verifier, sign_note
from tests.retention.samples import CHEAP

TEXT = "liucun/test\n1\n" + "A" * 43 + "=\n"


@pytest.fixture
def keys(tmp_path: Path, catalogue_url: str) -> Iterator[PeriodKeys]:
    ring = KeyRing.create(tmp_path / "ring.json", "p", cost=CHEAP)
    opened = PeriodKeys.open(catalogue_url, ring, create=True)
    yield opened
    opened.close()


def test_made_once_and_the_same_ever_after(keys: PeriodKeys) -> None:
    assert load_verifiers(keys) == []
    first = load_signers(keys)
    assert [s.verifier for s in first] == [s.verifier for s in load_signers(keys)]
    assert {s.verifier.name for s in first} == {first[0].verifier.name}
    assert sorted(v.encode() for v in load_verifiers(keys)) == sorted(s.verifier.encode() for s in first)


def test_each_signs_and_either_alone_is_enough(keys: PeriodKeys) -> None:
    signers = load_signers(keys)
    note = sign_note(TEXT, *signers)
    for known in ([signers[0].verifier], [signers[1].verifier], [s.verifier for s in signers]):
        assert open_note(note, known) == TEXT
    # A changed name or id makes a signature one of an unknown key; the other then carries the note, as specified.
    for at in range(len(TEXT)):
        changed = note[:at] + chr(ord(note[at]) ^ 1) + note[at + 1 :]
        with pytest.raises(NoteError):
            open_note(changed, [s.verifier for s in signers])


def test_verifier_keys_survive_their_text_form(keys: PeriodKeys) -> None:
    for signer in load_signers(keys):
        text = signer.verifier.encode()
        assert read_verifier(text) == signer.verifier
        with pytest.raises(NoteError):
            read_verifier(text[:-4])
        with pytest.raises(NoteError):
            read_verifier(text.replace("+", "+f", 1)[: len(text)])


def test_threads_make_one_generation(keys: PeriodKeys) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: [s.verifier.encode() for s in load_signers(keys)], range(4)))
    assert all(item == found[0] for item in found)


def test_renewed_keys_sign_and_old_ones_still_verify(keys: PeriodKeys) -> None:
    old = sign_note(TEXT, *load_signers(keys))
    new = renew_signers(keys)
    assert open_note(old, load_verifiers(keys)) == TEXT
    assert open_note(sign_note(TEXT, *new), load_verifiers(keys)) == TEXT
    with pytest.raises(NoteError):
        open_note(old, [s.verifier for s in new])


def test_they_are_rewrapped_with_the_period_keys(keys: PeriodKeys, tmp_path: Path) -> None:
    before = [s.verifier.encode() for s in load_signers(keys)]
    keys.current("content", "2026-10")
    other = KeyRing.create(tmp_path / "other.json", "q", cost=CHEAP)
    assert keys.rewrap(other) == 3
    assert [s.verifier.encode() for s in load_signers(keys)] == before


@pytest.mark.parametrize("column", ["public", "wrapped"])
@pytest.mark.parametrize("algorithm", ["ed25519", "sm2"])
def test_a_changed_row_is_refused(keys: PeriodKeys, column: str, algorithm: str) -> None:
    load_signers(keys)
    c = signing_keys.c
    with keys.database.write() as connection:
        value = connection.execute(sa.select(c[column]).where(c.algorithm == algorithm)).scalar_one()
        connection.execute(
            signing_keys.update().where(c.algorithm == algorithm).values({column: value[:-1] + bytes([value[-1] ^ 1])})
        )
    with pytest.raises(KeyAccessError) as caught:
        load_signers(keys)
    assert caught.value.exit_code == 4


def test_a_public_key_that_somebody_planted_verifies_nothing(keys: PeriodKeys) -> None:
    """Who owns the database alone cannot make the archive trust his signatures."""
    (mine, *_) = load_signers(keys)
    theirs = Ed25519Signer(mine.verifier.name, bytes(range(32)))
    wrapped = keys.provider.wrap(bytes(32), b"another context")
    with keys.database.write() as connection:
        connection.execute(
            signing_keys.insert().values(
                name=theirs.name,
                algorithm="ed25519",
                generation=0,
                public=theirs.verifier.public,
                wrapped=wrapped,
                created_at="2026-01-01",
            )
        )
    with pytest.raises(KeyRefusedError):
        load_verifiers(keys)
