"""Signed notes: round trip, every changed byte refused, hostile text refused with a typed error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.transparency.note import Checkpoint, Ed25519Signer, NoteError, open_note, read_verifier, sign_note

SIGNER = Ed25519Signer("liucun.example/log", bytes(range(32)))
KNOWN = {SIGNER.verifier.name: SIGNER.verifier}
CHECKPOINT = Checkpoint("liucun.example/log", 42, b"\x07" * 32, ("time 2026-11-24T00:00:00Z",))
NOTE = sign_note(CHECKPOINT.text(), SIGNER)


def test_round_trip() -> None:
    assert Checkpoint.read(open_note(NOTE, KNOWN)) == CHECKPOINT


def test_the_specification_s_own_key_and_note() -> None:
    # golang.org/x/mod/sumdb/note, package example: PeterNeumann's key and note.
    verifier = read_verifier("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    note = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n\n"
        "\u2014 PeterNeumann "
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    assert open_note(note, {verifier.name: verifier}).startswith("If you think")
    assert verifier.encode() == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def test_every_changed_character_is_refused() -> None:
    for at in range(len(NOTE)):
        changed = NOTE[:at] + chr(ord(NOTE[at]) ^ 1) + NOTE[at + 1 :]
        with pytest.raises(NoteError):
            open_note(changed, KNOWN)


def test_only_known_keys_count() -> None:
    stranger = Ed25519Signer("stranger", bytes(32))
    with pytest.raises(NoteError, match="no known key"):
        open_note(sign_note(CHECKPOINT.text(), stranger), KNOWN)
    assert open_note(sign_note(CHECKPOINT.text(), stranger, SIGNER), KNOWN) == CHECKPOINT.text()


@given(st.text())
def test_hostile_notes_and_checkpoints_are_refused(text: str) -> None:
    with pytest.raises(NoteError):
        open_note(text, KNOWN)
    with pytest.raises(NoteError) as caught:
        Checkpoint.read(text)
    assert caught.value.cure


@pytest.mark.parametrize(
    "text", ["", "a", "a+b", "a+00000000+AAAA", "x+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"]
)
def test_damaged_verifier_keys_are_refused(text: str) -> None:
    with pytest.raises(NoteError):
        read_verifier(text)


def test_secrets_are_not_shown() -> None:
    assert bytes(range(32)).hex() not in repr(SIGNER)
