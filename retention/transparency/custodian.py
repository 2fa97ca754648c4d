"""The second custodian: a place of another administrator, to which checkpoints are handed and never changed.

Whoever owns the whole store can sign any history. What he cannot do is take a checkpoint back that somebody else
keeps: a log that was shortened, forked or rewritten contradicts it.

Layout at the custodian, one folder a log: ``<log>/keys`` holds the verifier keys, one a line, of the first
hand-over; ``<log>/<size, 12 digits>`` a signed note each. Files are only ever added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from errors import UnreachableError
from retention.errors import LogForkedError, ObjectExistsError, ObjectMissingError, WitnessKeysError
from retention.objects.base import ObjectStore
from retention.objects.local import LocalObjects
from retention.transparency.note import Checkpoint, NoteError, Verifier, open_note, read_verifier

_KEYS: Final = "keys"


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A checkpoint as the custodian holds it."""

    checkpoint: Checkpoint
    note: str


class CustodianFolder(LocalObjects):
    """A folder of another administrator. It must be there: one that is made by us would be a share that is not mounted.

    Raises, on every use:
        UnreachableError: the folder is missing.
    """

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """See ``ObjectStore.put``."""
        self._check()
        super().put(name, data)

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """See ``ObjectStore.read``."""
        self._check()
        return super().read(name, start, end)

    def list(self, prefix: str = "") -> Iterator[str]:
        """See ``ObjectStore.list``."""
        self._check()
        return super().list(prefix)

    def _check(self) -> None:
        if not self.root.is_dir():
            raise unreachable(str(self.root), "there is no such folder")


class Custodian:
    """Checkpoints of one log at the custodian's place."""

    def __init__(self, place: ObjectStore, origin: str, *, name: str) -> None:
        self.name = name
        self._place = place
        self._origin = origin
        self._folder = origin.replace("/", "-")

    def verifiers(self) -> list[Verifier]:
        """The keys that the custodian knows the log by; empty before the first hand-over.

        Raises:
            NoteError: its list of keys is damaged.
        """
        try:
            text = self._place.read(f"{self._folder}/{_KEYS}").decode("utf-8", "replace")
        except ObjectMissingError:
            return []
        return [read_verifier(line) for line in text.splitlines() if line]

    def sizes(self) -> list[int]:
        """The sizes of the log that the custodian has seen, rising."""
        prefix = f"{self._folder}/"
        names = (name.removeprefix(prefix) for name in self._place.list(prefix))
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())

    def read(self, size: int, verifiers: Iterable[Verifier]) -> Witnessed:
        """A checkpoint that the custodian holds, its signature checked.

        Raises:
            NoteError: it is malformed or signed by none of the keys.
            LogForkedError: it is of another log or size than its name says.
        """
        note = self._place.read(self._name(size)).decode("utf-8", "replace")
        checkpoint = Checkpoint.read(open_note(note, verifiers))
        if (checkpoint.origin, checkpoint.size) != (self._origin, size):
            raise LogForkedError(
                f"The custodian {self.name} holds a checkpoint of {checkpoint.origin} with {checkpoint.size} entries "
                f"under the name of {self._origin} with {size}.",
                cure="Ask the custodian's administrator what happened; do not replace it.",
            )
        return Witnessed(checkpoint, note)

    def others(self) -> list[str]:
        """Names of other logs that the custodian holds checkpoints of."""
        return sorted({name.partition("/")[0] for name in self._place.list()} - {self._folder})

    def newest(self) -> Witnessed | None:
        """The largest checkpoint that the custodian holds."""
        sizes = self.sizes()
        return self.read(sizes[-1], self.verifiers()) if sizes else None

    def hand_over(self, checkpoint: Checkpoint, note: str, verifiers: Sequence[Verifier]) -> bool:
        """Give the custodian a checkpoint; returns whether it was new to him.

        The caller has checked that it continues what the custodian holds.

        Raises:
            LogForkedError: he holds another one of this size, or knows the log by other keys.
            WitnessKeysError: he knows only older keys than those that sign now; nothing was given to him, for he
                could not read it back.
            UnreachableError, StorageError: his place cannot be written.
        """
        self._introduce(verifiers)
        try:
            open_note(note, self.verifiers())
        except NoteError as error:
            raise WitnessKeysError(
                f"The custodian {self.name} does not list the keys that sign the log {self._origin} since they were "
                "renewed, so he gets no checkpoints.",
                cure="His administrator adds the lines that `liucun keys rotate --signing` printed (`liucun keys list "
                "--json` has them too) to the list; the next command hands over what was missed.",
            ) from error
        try:
            self._place.put(self._name(checkpoint.size), note.encode("utf-8"))
        except ObjectExistsError:
            held = self.read(checkpoint.size, self.verifiers())
            if held.checkpoint.root != checkpoint.root:
                raise forked(self.name, checkpoint.size) from None
            return False
        return True

    def _introduce(self, verifiers: Sequence[Verifier]) -> None:
        known = self.verifiers()
        if not known:
            text = "".join(f"{verifier.encode()}\n" for verifier in verifiers)
            try:
                self._place.put(f"{self._folder}/{_KEYS}", text.encode("utf-8"))
            except ObjectExistsError:
                known = self.verifiers()
            else:
                return
        if not {verifier.encode() for verifier in known} & {verifier.encode() for verifier in verifiers}:
            raise LogForkedError(
                f"The custodian {self.name} knows the log {self._origin} by other keys than sign it now.",
                cure="Restore the signing keys from their backup; if they were changed on purpose, the custodian's "
                "administrator adds the new key to the log's list.",
            )

    def _name(self, size: int) -> str:
        return f"{self._folder}/{size:012d}"


def forked(name: str, size: int) -> LogForkedError:
    """The error for a log that is not the one that the custodian has seen."""
    return LogForkedError(
        f"The custodian {name} holds another log of {size} entries than this archive: its history was changed.",
        cure="Keep everything as it is, do not write to the store, and find out who changed it.",
    )


def rolled_back(name: str, seen: int, size: int) -> LogForkedError:
    """The error for a log that is shorter than the custodian has seen it."""
    return LogForkedError(
        f"The custodian {name} has seen {seen} entries of the log, the archive holds {size}: it was rolled back.",
        cure="Rebuild the catalogue from the objects (`liucun catalogue rebuild`), or restore a newer backup.",
    )


def unreachable(name: str, why: str) -> UnreachableError:
    """The error for a custodian whose place is not there."""
    return UnreachableError(
        f"The custodian {name} cannot be reached: {why}.",
        cure="The archive goes on without; mount or start his place, and the next command hands over what he missed.",
    )
