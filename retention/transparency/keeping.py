"""Keeps the log up: numbers what was committed and hands the signed state to the second custodian.

Before anything is handed over, the log is compared with what the custodian has: a log that was forked or rolled
back is not continued.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from errors import StorageError, UnreachableError
from retention.catalogue.engine import Catalogue
from retention.catalogue.retrying import retried
from retention.crypto.suites import Suite
from retention.keys.periods import PeriodKeys
from retention.keys.signing import load_signers, load_verifiers
from retention.objects.base import ObjectStore
from retention.transparency import merkle
from retention.transparency.custodian import Custodian, forked, rolled_back
from retention.transparency.log import nodes_of, state_of
from retention.transparency.note import Signer, Verifier
from retention.transparency.sequencer import sequence, unsequenced

HAND_OVER_SECONDS: Final = 60.0
"""A following run hands checkpoints over at most so often; every command does when it ends."""


@dataclass(slots=True)
class LogKeeper:
    """The transparency log of an open store.

    ``place`` is the custodian's, None without one; ``place_name`` what to call it. ``warnings`` says what could
    not be handed over: the log goes on without its custodian, an audit says that it is not anchored. ``pinned`` are
    keys that who audits has of the log from elsewhere (``pinning``).
    """

    catalogue: Catalogue
    objects: ObjectStore
    period_keys: PeriodKeys
    suite: Suite
    place: ObjectStore | None = None
    place_name: str = ""
    warnings: list[str] = field(default_factory=list)
    pinned: tuple[Verifier, ...] = ()
    _signers: list[Signer] = field(default_factory=list)
    _handed_over: float = float("-inf")

    @property
    def signers(self) -> Sequence[Signer]:
        """Who signs checkpoints; their common name is the log's origin."""
        if not self._signers:
            self._signers = load_signers(self.period_keys)
        return self._signers

    @property
    def verifiers(self) -> list[Verifier]:
        """All keys that ever signed this log; empty before it began."""
        return load_verifiers(self.period_keys)

    def custodian(self) -> Custodian | None:
        """The second custodian of this log, None where none is set."""
        if self.place is None:
            return None
        return Custodian(self.place, self.signers[0].verifier.name, name=self.place_name)

    def keep(self, *, ending: bool = True) -> None:
        """Number what waits and hand the newest checkpoint over, when it is time or the command is ``ending``.

        Raises:
            LogForkedError: the log is not the one that the custodian has seen. Nothing was numbered.
            IntegrityError, StorageError, KeyAccessError: the log cannot be continued.
        """
        if not self.period_keys.provider.description.can_unwrap:
            return  # a collector that only writes: whoever can read numbers what it committed
        with self.catalogue.read() as connection:
            waits = unsequenced(connection)
        due = ending or time.monotonic() - self._handed_over >= HAND_OVER_SECONDS
        if not waits and not due:
            return
        custodian = self.custodian() if due else None
        try:
            ahead = self._compare(custodian) if custodian else None
        except (UnreachableError, StorageError) as error:
            self._warn(error)
            custodian = ahead = None
        if waits:
            retried(self.catalogue, lambda: sequence(self))
        if custodian is not None:
            self._hand_over(custodian, ahead or 0)

    def _compare(self, custodian: Custodian) -> int:
        """The size that the custodian has seen, once it is known to be a state of this log."""
        newest = custodian.newest()
        if newest is None:
            return 0
        seen = newest.checkpoint
        with self.catalogue.read() as connection:
            state = state_of(connection)
            if seen.size > state.size:
                raise rolled_back(custodian.name, seen.size, state.size)
            root = merkle.range_root(self.suite.hash, nodes_of(connection), 0, seen.size)
        if root != seen.root:
            raise forked(custodian.name, seen.size)
        return seen.size

    def _hand_over(self, custodian: Custodian, seen: int) -> None:
        with self.catalogue.read() as connection:
            state = state_of(connection)
        if state.checkpoint is None or state.note is None or state.size <= seen:
            self._handed_over = time.monotonic()
            return
        try:
            custodian.hand_over(state.checkpoint, state.note, self.verifiers)
        except (UnreachableError, StorageError) as error:
            self._warn(error)
        else:
            self._handed_over = time.monotonic()

    def _warn(self, error: UnreachableError | StorageError) -> None:
        if str(error) not in self.warnings:
            self.warnings.append(str(error))
