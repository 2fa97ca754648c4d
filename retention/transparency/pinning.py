"""Keys that an auditor has of the log from elsewhere: by these, and no others, it is the archive's.

All else that says whose log it is lies in the store, or where the store's owner hands it over. Whoever forges a whole
store under a name and keys of his own is known by the keys that he does not have.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from errors import SettingsError, StorageError, UnreachableError
from retention.transparency.custodian import Custodian
from retention.transparency.note import NoteError, Verifier, open_note, read_verifier
from retention.transparency.verdict import LogVerdict

LIMIT: Final = 64 << 10
"""Longest file of keys in bytes; a key is about 150 long."""


def read_pins(path: Path) -> tuple[Verifier, ...]:
    """The keys in a file, one a line, as ``liucun keys list --json`` and the custodian's list have them.

    Raises:
        SettingsError: there is no such file, it holds no key or anything else, or keys of several logs.
    """
    cure = "Name a file of the log's verifier keys, one a line, that is kept where the store's owner cannot write."
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT + 1)
    except OSError as error:
        raise SettingsError(f"The log's keys {path} cannot be read: {error.strerror}.", cure=cure) from error
    if len(data) > LIMIT:
        raise SettingsError(f"The log's keys {path} are over {LIMIT:,} bytes long.", cure=cure)
    try:
        lines = [line for line in data.decode("utf-8").splitlines() if line.strip()]
        found = tuple(read_verifier(line) for line in lines)
    except (NoteError, UnicodeDecodeError) as error:
        raise SettingsError(f"The log's keys {path} are malformed.", cure=cure) from error
    if len({verifier.name for verifier in found}) != 1:
        which = "of several logs" if found else "none"
        raise SettingsError(f"The log's keys {path} are {which}.", cure=cure)
    return found


def check_pins(
    pinned: tuple[Verifier, ...], origin: str, note: str | None, custodian: Custodian | None, verdict: LogVerdict
) -> None:
    """Compare the log with pinned keys; without any there is nothing to compare.

    Args:
        pinned: keys of one log.
        origin: name of the log that the store has.
        note: its newest signed state, None without one.
        custodian: where its states went.
        verdict: takes what does not hold.
    """
    if not pinned:
        return
    name = pinned[0].name
    if origin != name:
        verdict.add(
            "log_not_pinned", "log", f"This archive's log is {origin or 'not begun'}; the pinned keys are {name}'s."
        )
        return
    if note is None:
        verdict.add("log_not_pinned", "log", "It has no signed state: nothing shows that the pinned keys are its own.")
    notes = {} if note is None else {"log": note}
    try:
        newest = None if custodian is None else custodian.newest()
    except (NoteError, UnreachableError, StorageError):
        newest = None  # said of the custodian elsewhere
    if newest is not None:
        notes[f"custodian:{newest.checkpoint.size}"] = newest.note
    for where, signed in notes.items():
        try:
            open_note(signed, pinned)
        except NoteError:
            detail = (
                "Its newest signed state is signed by none of the pinned keys. If keys were renewed, pin the new ones."
            )
            verdict.add("signature_not_pinned", where, detail)
