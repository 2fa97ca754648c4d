"""What reviewers decided, as labelled texts to train on: confirmed tickets by category, dismissed ones and samples of
passed texts as harmless.

Tickets of restricted accounts are left out and counted: their processing stopped (个人信息保护法 art. 47).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from detectors.model.budget import Reviewed
from detectors.model.errors import TrainingDataError
from detectors.model.labelled import Labelled
from liucun.store import OpenStore
from retention.catalogue import events
from retention.catalogue.tables import timestamp
from retention.persons.tables import restrictions
from tickets.bodies import ticket_context
from tickets.samples.labels import harmless_texts
from tickets.states import State
from tickets.tables import findings, tickets

HARMLESS: Final = "none"
"""Label of what reviewers dismissed or an appeal reversed."""
_BAD: Final = (State.CONFIRMED, State.DISPOSED, State.REPORTED, State.ACKNOWLEDGED, State.CLOSED)
_GOOD: Final = (State.DISMISSED, State.REVERSED)


@dataclass(frozen=True, slots=True)
class Decisions:
    """``labelled`` has one row a distinct text, its group the piece of content; the rest counts tickets and samples."""

    labelled: Labelled
    confirmed: int
    dismissed: int
    restricted: int
    sampled: int = 0


def reviewed(store: OpenStore) -> Decisions:
    """Read every decided ticket's text; that they were read for training is put on record.

    Raises:
        TrainingDataError: nothing was decided yet.
        IntegrityError, KeyAccessError: a sealed text cannot be opened.
    """
    c = tickets.c
    states = [state.value for state in (*_BAD, *_GOOD)]
    with store.catalogue.read() as connection:
        hidden = set(
            connection.execute(
                sa.select(restrictions.c.account_blind).where(restrictions.c.state == "active")
            ).scalars()
        )
        rows = connection.execute(
            sa.select(c.ticket_id, c.content_key, c.category, c.state, c.account_blind, c.body)
            .where(c.state.in_(states))
            .order_by(c.ticket_id)
        ).all()
    left_out = [row for row in rows if row.account_blind in hidden]
    kept = [row for row in rows if row.account_blind not in hidden]
    sampled = harmless_texts(store, actor=store.actor)
    if not kept and not sampled:
        raise TrainingDataError(
            "No ticket of this store was confirmed or dismissed yet.",
            cure="Decide some with `liucun tickets triage`, or train from a file: --data CSV.",
        )
    good = {state.value for state in _GOOD}
    texts: dict[str, tuple[str, str]] = {text: (HARMLESS, sample) for text, sample in sampled if text.strip()}
    for row in kept:
        body = json.loads(store.bodies.open(row.body, ticket_context(row.ticket_id)))
        label = HARMLESS if row.state in good else row.category
        for part in body["texts"]:
            if part["text"].strip():
                # The same words decided twice count once, as they were decided last.
                texts[part["text"]] = (label, row.content_key)
    dismissed = sum(row.state in good for row in kept)
    with store.catalogue.write() as connection:
        events.append(
            connection,
            kind="model.decisions_read",
            actor=store.actor,
            subject="models",
            body={
                "confirmed": len(kept) - dismissed,
                "dismissed": dismissed,
                "sampled": len(sampled),
                "restricted_left_out": len(left_out),
            },
        )
    labelled = Labelled(
        pa.array(list(texts), pa.string()),
        [label for label, _ in texts.values()],
        np.array([group for _, group in texts.values()], dtype=np.str_),
    )
    return Decisions(labelled, len(kept) - dismissed, dismissed, len(left_out), len(sampled))


def past_findings(store: OpenStore, days: int) -> Reviewed:
    """Return the model's findings of the last ``days`` days, the best of each ticket, with what was decided.

    Where the first of them is later, the days count from that one, but one day at least: a month's budget must not be
    measured by what three days brought.

    Raises:
        StorageError: the catalogue cannot be read.
    """
    c, f = tickets.c, findings.c
    now = datetime.now(UTC)
    since = timestamp(now - timedelta(days=days))
    with store.catalogue.read() as connection:
        rows = connection.execute(
            sa.select(f.category, sa.func.max(f.score), c.state, c.detected_at)
            .join_from(findings, tickets, c.ticket_id == f.ticket_id)
            .where(c.detected_at >= since, f.rule.like("model:%"), c.state != State.MERGED.value)
            .group_by(f.ticket_id, f.category, c.state, c.detected_at)
        ).all()
    first = min((datetime.fromisoformat(row[3]) for row in rows), default=now)
    seen = (now - first) / timedelta(days=1)
    good, bad = {state.value for state in _GOOD}, {state.value for state in _BAD}
    return Reviewed(
        np.array([row[0] for row in rows], dtype=np.str_),
        np.array([row[1] for row in rows], dtype=np.float64),
        np.array([1 if row[2] in bad else 0 if row[2] in good else -1 for row in rows], dtype=np.int8),
        min(float(days), max(seen, 1.0)),
    )
