"""The keyword rules of a running job: held once a process, taken up anew when packs change, and their alarms.

The graph carries the packs as they were good when the job began (``JobRules``): a worker that starts anew while the
packs are bad goes on with those. What is in force since when, and every refusal, is an event of the catalogue.
"""

from __future__ import annotations

import json
import pickle
import threading
import zlib
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from detectors.base import Detector
from detectors.combined import CombinedDetector
from detectors.keywords.engine import KeywordDetector
from detectors.keywords.layers import Layers, load_layers
from detectors.keywords.live import Change, LivePacks, Taken, ready
from detectors.keywords.packset import PackSet
from detectors.keywords.rules import Problem, State
from detectors.model import ModelDetector, default_model
from detectors.model.budget import read_queue
from detectors.model.second_look import second_look
from detectors.model.versions import installed
from pipelines.batches import DecodedBatch
from retention.catalogue import events
from retention.catalogue.engine import Catalogue
from retention.catalogue.retrying import retried
from retention.catalogue.tables import events as event_table

LOADED: Final = "rules.loaded"
REFUSED: Final = "rules.refused"
SHADOW: Final = "rules.shadow"
ACTOR: Final = "system:detect"
MAX_SAID: Final = 300
"""Characters of a fault that its event keeps."""
_SHANGHAI: Final = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True, slots=True)
class JobRules:
    """Where a job's rules come from, and the packs that were good when it began (pickled, compressed).

    ``model`` is the folder of the model beside them, None for the one that ships; ``queue`` the scores from which its
    findings are for reviewers, by category. ``models`` is the store's folder of models, where a second look may lie.
    """

    layers: Layers
    good: bytes = field(repr=False)
    model: Path | None = None
    queue: tuple[tuple[str, float], ...] = ()
    models: Path | None = None

    @classmethod
    def load(cls, layers: Layers, catalogue: Catalogue | None = None, models: Path | None = None) -> JobRules:
        """Read the packs for a job that begins; in its ``catalogue`` they are in force from now on.

        Args:
            models: a store's folder of installed models; the one in use now is the job's.

        Raises:
            PackError: a pack has a fault; nothing older is in force that could go on.
            ModelFileError: the model in use or the queue's thresholds are damaged.
            StorageError: the catalogue cannot be written.
        """
        packs = ready(load_layers(layers, today())).packs
        if catalogue is not None:
            _record(catalogue, Taken(packs))
        # A folder that was there and is not is a fault from now on: a worker that cannot see it must not do without.
        absent = tuple(path for path in layers.optional if path not in layers.present)
        layers = replace(layers, paths=layers.present, optional=absent)
        model = installed(models) if models else None
        default_model(model)
        queue = tuple(sorted(read_queue(models).items())) if models else ()
        second_look(models)
        return cls(layers, zlib.compress(pickle.dumps(packs), 1), model, queue, models)

    def packs(self) -> PackSet:
        """The packs as the job began."""
        # Written by ``load`` of the same job; it comes with the graph, as the code itself does.
        found = pickle.loads(zlib.decompress(self.good))
        assert isinstance(found, PackSet)
        return found


@dataclass(frozen=True, slots=True)
class RulesAlarm:
    """Packs that a job refused, and since when (ISO 8601); ``in_force`` names the packs that go on."""

    at: str
    file: str
    line: int
    what: str
    faults: int
    in_force: str

    def __str__(self) -> str:
        more = f" (and {self.faults - 1} more)" if self.faults > 1 else ""
        return f"{self.file}:{self.line}: {self.what}{more} Refused since {self.at}; {self.in_force} stays in force."


def today() -> date:
    """The day by which rules' dates count."""
    return datetime.now(_SHANGHAI).date()


class RulesInForce:
    """The rules of one job in this process."""

    def __init__(self, rules: JobRules) -> None:
        self._live = LivePacks(rules.layers, rules.packs(), today)
        self._model = ModelDetector(
            default_model(rules.model).model, queue=dict(rules.queue), second=second_look(rules.models)
        )
        self._lock = threading.Lock()
        self._unwritten: list[Change] = [Taken(self._live.detector.packs)]
        self._combined: tuple[KeywordDetector, Detector] | None = None

    def detectors(self, catalogue: Catalogue) -> tuple[Detector, KeywordDetector]:
        """The detector of the next batch, and its keyword part; changed packs are taken up, and recorded, first.

        Raises:
            StorageError: the change cannot be recorded; it is tried again with the next batch.
        """
        with self._lock:
            change = self._live.refresh()
            if change is not None:
                self._unwritten.append(change)
            while self._unwritten:
                _record(catalogue, self._unwritten[0])
                del self._unwritten[0]
            keywords = self._live.detector
            if self._combined is None or self._combined[0] is not keywords:
                self._combined = (keywords, CombinedDetector((keywords, self._model)))
            return self._combined[1], keywords


_lock = threading.Lock()
_held: dict[JobRules, RulesInForce] = {}


def rules_in_force(rules: JobRules) -> RulesInForce:
    """The holder of a job's rules, one a process."""
    with _lock:
        if rules not in _held:
            _held[rules] = RulesInForce(rules)
        return _held[rules]


def let_go(rules: JobRules) -> None:
    """Forget a job's rules when it has ended."""
    with _lock:
        _held.pop(rules, None)


def shadow_counts(decoded: DecodedBatch, keywords: KeywordDetector) -> dict[str, int]:
    """How many public texts of a batch each shadow rule hits."""
    counts: Counter[str] = Counter()
    if any(rule.state is State.SHADOW for rule in keywords.packs.rules):
        for texts in decoded.published.values():
            found = keywords.evidence(texts, State.SHADOW)
            pairs = set(zip(found.column("row").to_pylist(), found.column("rule").to_pylist(), strict=True))
            counts.update(rule for _, rule in pairs)
    return dict(counts)


def record_shadow(connection: sa.Connection, version: str, counts: dict[str, int]) -> None:
    """Enter a batch's counts of shadow rules, in the batch's own transaction: counted exactly once."""
    if counts:
        body = {"counts": dict(sorted(counts.items()))}
        events.append(connection, kind=SHADOW, actor=ACTOR, subject=f"rules:{version}", body=body)


def rules_alarm(catalogue: Catalogue) -> RulesAlarm | None:
    """The alarm that stands: packs were refused, and none has been taken up since."""
    with catalogue.read() as connection:
        last = _last(connection)
    if last is None or last.kind != REFUSED:
        return None
    body = json.loads(last.body)
    return RulesAlarm(
        at=last.at,
        file=body["file"],
        line=body["line"],
        what=body["what"],
        faults=body["faults"],
        in_force=last.subject.removeprefix("rules:"),
    )


def shadow_totals(catalogue: Catalogue) -> Counter[str]:
    """Texts that shadow rules hit in all runs so far, by rule."""
    totals: Counter[str] = Counter()
    c = event_table.c
    with catalogue.read() as connection:
        for (body,) in connection.execute(sa.select(c.body).where(c.kind == SHADOW)):
            totals.update(json.loads(body)["counts"])
    return totals


def _record(catalogue: Catalogue, change: Change) -> None:
    """Write a change down, unless the trail says so already (several workers; a job that begins as the last ended)."""
    kind, subject, body = _event(change)

    def write() -> None:
        with catalogue.write() as connection:
            last = _last(connection)
            if last is not None and (last.kind, last.subject, json.loads(last.body)) == (kind, subject, body):
                return
            events.append(connection, kind=kind, actor=ACTOR, subject=subject, body=body)

    # Jobs that begin together meet here.
    retried(catalogue, write)


def _event(change: Change) -> tuple[str, str, dict[str, object]]:
    if isinstance(change, Taken):
        states = Counter(rule.state.value for rule in change.packs.rules)
        return LOADED, f"rules:{change.packs.version}", {state.value: states[state.value] for state in State}
    alarm = change.alarm
    first = next((p for p in alarm.problems if isinstance(p, Problem)), Problem("", 1, alarm.what, alarm.cure))
    body = {
        "file": first.file,
        "line": first.line,
        "what": first.what[:MAX_SAID],
        "faults": max(len(alarm.problems), 1),
    }
    return REFUSED, f"rules:{change.in_force}", body


class _Last(NamedTuple):
    at: str
    kind: str
    subject: str
    body: str


def _last(connection: sa.Connection) -> _Last | None:
    c = event_table.c
    query = sa.select(c.at, c.kind, c.subject, c.body).where(c.kind.in_((LOADED, REFUSED)))
    row = connection.execute(query.order_by(c.id.desc()).limit(1)).one_or_none()
    return None if row is None else _Last(*row)
