"""The certificate of destruction 销毁证明: what went, how much, why, by whom, when, under which keys; signed.

It is issued when everything planned has gone or was dropped, and it is final only when no backup of the store of keys
can bring a key back: such backups live at most thirty days.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
import sqlalchemy as sa

from errors import LiucunError
from retention.catalogue import events
from retention.catalogue.tables import timestamp
from retention.crypto.bodies import BESIDE
from retention.crypto.suites import Suite
from retention.policies.settings import RetentionSettings
from retention.purge.errors import CertificateError, PurgeStateError
from retention.purge.plan import CERTIFIED, DROPPED, FINAL, RUNNING, Parts, Purge, read_purge, row_of
from retention.purge.run import SHREDDED, Step
from retention.purge.tables import purge_segments, purge_units, purges
from retention.transparency.note import Signer, Verifier, open_note, sign_note

VERSION: Final = 1
_TITLE: Final = "liucun certificate of destruction v1"


def certify(
    parts: Parts,
    purge_id: str,
    *,
    signers: Sequence[Signer],
    actor: str,
    now: datetime,
    settings: RetentionSettings,
    step: Step = lambda _name: None,
) -> Purge:
    """Issue the certificate of a purge whose every unit is destroyed or dropped; issued already, it stays as it is.

    Raises:
        PurgeStateError: it is not carried out yet.
        CertificateError: an object or a key is still there, whatever the tables say.
    """
    with parts.catalogue.read() as connection:
        row = row_of(connection, purge_id)
        if row.state in (CERTIFIED, FINAL):
            return read_purge(parts.catalogue, purge_id)
        left = connection.execute(
            sa.select(purge_units.c.key_id).where(
                purge_units.c.purge_id == purge_id, purge_units.c.state.not_in((SHREDDED, DROPPED))
            )
        ).first()
        if row.state != RUNNING or left:
            raise PurgeStateError(f"The purge {purge_id} is not carried out yet.", cure="Run it to its end first.")
    check_facts(parts, purge_id)
    final_after = timestamp(now + timedelta(days=settings.key_backup_days))
    with parts.catalogue.read() as connection:
        text = _text(connection, row, actor, now, final_after)
    note = signed(parts.archive.suite, purge_id, text, now, signers) if signers else None
    step("certify")
    with parts.catalogue.write() as connection:
        changed = connection.execute(
            purges.update()
            .where(purges.c.purge_id == purge_id, purges.c.state == RUNNING)
            .values(
                state=CERTIFIED,
                finished_at=timestamp(now),
                final_after=final_after,
                certificate=text,
                signature=note,
            )
        )
        if changed.rowcount:
            body = {"certificate": parts.archive.suite.hash(text.encode()).hex(), "final_after": final_after}
            events.append(
                connection, kind="purge.certified", actor=actor, subject=f"purge:{purge_id}", body=body, at=now
            )
    step("certified")
    return read_purge(parts.catalogue, purge_id)


def finish(parts: Parts, *, actor: str, now: datetime) -> tuple[list[str], dict[str, LiucunError]]:
    """Make final the certificates whose keys no backup can bring back any more.

    Returns:
        The purges whose certificates are final now, and what was wrong with others: what one claims falsely says
        nothing of the next.
    """
    c = purges.c
    with parts.catalogue.read() as connection:
        ripe = connection.execute(
            sa.select(c.purge_id).where(c.state == CERTIFIED, c.final_after <= timestamp(now)).order_by(c.purge_id)
        )
        found = list(ripe.scalars())
    failed: dict[str, LiucunError] = {}
    done = []
    for purge_id in found:
        try:
            check_facts(parts, purge_id)
            with parts.catalogue.write() as connection:
                connection.execute(purges.update().where(c.purge_id == purge_id).values(state=FINAL))
                events.append(connection, kind="purge.final", actor=actor, subject=f"purge:{purge_id}", body={}, at=now)
        except LiucunError as error:
            failed[purge_id] = error
        else:
            done.append(purge_id)
    return done, failed


def check_facts(parts: Parts, purge_id: str) -> None:
    """Compare what a purge says with what is: no object of it is left, and no key.

    Raises:
        CertificateError: which object or key is there.
    """
    u, s = purge_units.c, purge_segments.c
    with parts.catalogue.read() as connection:
        keys = set(connection.execute(sa.select(u.key_id).where(u.purge_id == purge_id, u.state == SHREDDED)).scalars())
        shredded = sa.select(u.unit_id).where(u.purge_id == purge_id, u.state == SHREDDED)
        names = connection.execute(
            sa.select(s.object_name).where(s.purge_id == purge_id, s.unit_id.in_(shredded)).order_by(s.object_name)
        )
        objects = list(names.scalars())
    for record in parts.period_keys.list():
        if record.key_id in keys and record.destroyed_at is None:
            raise CertificateError(
                f"The key {record.key_id} of {purge_id} is there, although it was destroyed.",
                cure="A backup of the store of keys was put back: run `liucun purge --reshred`.",
            )
    for name in objects:
        if parts.objects.exists(name):
            raise CertificateError(
                f"The object {name!r} of {purge_id} is there, although it was destroyed.",
                cure="It cannot be read without its key; delete it, and find out who put it back.",
            )


def verify_certificate(suite: Suite, purge: Purge, verifiers: Sequence[Verifier]) -> dict[str, Any]:
    """The certificate's content, once a known key's signature over it holds.

    Raises:
        CertificateError: there is none, or its text is not the one that was signed.
        NoteError: no known key signed it.
    """
    if purge.certificate is None or purge.signature is None:
        raise CertificateError(
            f"The purge {purge.purge_id} has no signed certificate.", cure="Run it to its end first."
        )
    lines = open_note(purge.signature, verifiers).splitlines()
    digest = f"{suite.name} {suite.hash(purge.certificate.encode()).hex()}"
    if lines[:3] != [_TITLE, purge.purge_id, digest]:
        raise CertificateError(
            f"The certificate of {purge.purge_id} is not the one that was signed.", cure="Restore the catalogue."
        )
    found: dict[str, Any] = orjson.loads(purge.certificate)
    return found


def signed(suite: Suite, purge_id: str, text: str, now: datetime, signers: Sequence[Signer]) -> str:
    """A signed note over the certificate's digest."""
    digest = f"{suite.name} {suite.hash(text.encode()).hex()}"
    return sign_note(f"{_TITLE}\n{purge_id}\n{digest}\n{timestamp(now)}\n", *signers)


def _text(connection: sa.Connection, row: sa.Row[Any], actor: str, now: datetime, final_after: str) -> str:
    u, s = purge_units.c, purge_segments.c
    found = connection.execute(
        sa.select(purge_units).where(u.purge_id == row.purge_id).order_by(u.record_class, u.periods, u.unit_id)
    ).all()
    destroyed, dropped = [], []
    for unit in found:
        base = {"class": unit.record_class, "months": unit.periods.split(), "key": unit.key_id, "policy": unit.policy}
        if unit.state == DROPPED:
            dropped.append({**base, "why": unit.why_not})
            continue
        rows = connection.execute(
            sa.select(s.segment_id, s.rows, s.bytes_stored, s.ciphertext_digest)
            .where(s.purge_id == row.purge_id, s.unit_id == unit.unit_id)
            .order_by(s.segment_id)
        ).all()
        if unit.record_class in BESIDE:  # there are no segments: the unit was counted when it was claimed
            records, size = unit.rows - unit.kept_rows, unit.bytes_stored
        else:
            records, size = sum(item.rows for item in rows), sum(item.bytes_stored for item in rows)
        destroyed.append(
            {
                **base,
                "expired_on": unit.expired_on,
                "key_fingerprint": unit.key_fingerprint,
                "destroyed_at": unit.destroyed_at,
                "records": records,
                "carried_over": unit.rows - records,
                "bytes": size,
                "segments": [{"id": item.segment_id, "ciphertext": item.ciphertext_digest} for item in rows],
            }
        )
    body = {
        "version": VERSION,
        "purge": row.purge_id,
        "reason": row.reason,
        "plan": row.plan_digest,
        "planned": {"by": row.planned_by, "at": row.planned_at},
        "approved": {"by": row.approved_by, "at": row.approved_at},
        "carried_out": {"by": actor, "from": row.started_at, "to": timestamp(now)},
        "method": "objects deleted; period keys overwritten, so that no copy of the objects can be read",
        "final_after": final_after,
        "final_because": "backups of the store of period keys live at most so long",
        "destroyed": destroyed,
        "not_destroyed": dropped,
        "records": sum(unit["records"] for unit in destroyed),
        "bytes": sum(unit["bytes"] for unit in destroyed),
    }
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()
