"""Personal data on a terminal: hidden unless a purpose is given, which goes on record first, sealed."""

from __future__ import annotations

from collections.abc import Sequence

from retention.catalogue.engine import Catalogue
from tickets.bodies import Bodies


def record_look(catalogue: Catalogue, bodies: Bodies, actor: str, subjects: Sequence[str], purpose: str) -> None:
    """Put on record that somebody sees subjects (``ticket:…``) unmasked, and why; before anything is shown.

    Raises:
        AccountError: the purpose is missing or too long.
    """
    from console.access.reveal import REVEALED, why
    from retention.catalogue import events

    body = why(bodies, purpose)
    with catalogue.write() as connection:
        events.append_many(connection, [(subject, body) for subject in subjects], kind=REVEALED, actor=actor)
