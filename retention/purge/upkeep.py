"""What is due from time to time: the index follows, holds are looked for, approved purges go on, certificates end.

Everything here may be stopped at any point and run again. It plans nothing and approves nothing: people do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from errors import BusyError, LiucunError
from retention.catalogue.tables import timestamp
from retention.errors import KeyDestroyedError
from retention.holds.service import enforce, examine
from retention.policies.follow import follow
from retention.policies.settings import RetentionSettings
from retention.purge.certificate import certify, finish
from retention.purge.errors import ClockRefusedError
from retention.purge.plan import APPROVED, RUNNING, Parts
from retention.purge.run import SHREDDED, carry_out, shred_key
from retention.purge.tables import purge_units, purges
from retention.transparency.keeping import LogKeeper
from retention.transparency.note import Signer

_TIME = "time "


@dataclass(slots=True)
class Upkeep:
    """What one round did. ``unfinished`` names purges that wait for something, with the reason; ``failed`` those
    that met an error (certificate and facts disagree, storage fails), which kept no other from going on."""

    followed: int = 0
    examined: int = 0
    certified: list[str] = field(default_factory=list)
    final: list[str] = field(default_factory=list)
    unfinished: dict[str, str] = field(default_factory=dict)
    failed: dict[str, LiucunError] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The round for programs; of an error what happened."""
        said = {name: getattr(self, name) for name in self.__slots__}
        return {**said, "failed": {purge_id: error.what for purge_id, error in self.failed.items()}}

    def raise_failed(self) -> None:
        """Raise the first error, naming the purges of all; nothing when there is none."""
        for first in self.failed.values():
            first.what = " ".join(f"{purge_id}: {error.what}" for purge_id, error in self.failed.items())
            raise first


def bring_up_to_date(parts: Parts, settings: RetentionSettings) -> Upkeep:
    """Take in new segments and look for held accounts; nothing is destroyed."""
    told = follow(parts, ending_words=settings.ending_words, delisting_words=settings.delisting_words)
    done = Upkeep(followed=told.segments)
    done.examined = examine(parts)
    enforce(parts)
    return done


def keep_up(
    parts: Parts,
    *,
    signers: Sequence[Signer],
    actor: str,
    now: datetime,
    settings: RetentionSettings,
    witnessed: datetime | None = None,
) -> Upkeep:
    """One round: bring the index up to date, carry out the approved purges whose wait is over, end certificates.

    Raises:
        ClockRefusedError: there is a purge to carry out, and the clock cannot be trusted with it.
    """
    done = bring_up_to_date(parts, settings)
    for purge_id in ready(parts, now):
        try:
            carry_out(parts, purge_id, actor=actor, now=now, settings=settings, witnessed=witnessed)
            certify(parts, purge_id, signers=signers, actor=actor, now=now, settings=settings)
        except BusyError as error:
            done.unfinished[purge_id] = error.what
        except ClockRefusedError:
            raise
        except LiucunError as error:  # one purge that cannot go on is no reason to keep what others may destroy
            done.failed[purge_id] = error
        else:
            done.certified.append(purge_id)
    done.final, failed = finish(parts, actor=actor, now=now)
    done.failed.update(failed)
    return done


def ready(parts: Parts, now: datetime) -> list[str]:
    """Purges that have begun, or are approved and have waited."""
    c = purges.c
    waited = sa.and_(c.state == APPROVED, c.waits_until <= timestamp(now))
    with parts.catalogue.read() as connection:
        rows = connection.execute(
            sa.select(c.purge_id).where(sa.or_(c.state == RUNNING, waited)).order_by(c.approved_at)
        )
        return list(rows.scalars())


def reshred(parts: Parts) -> list[str]:
    """Destroy again what a restored backup of the store of keys brought back; returns the keys."""
    c = purge_units.c
    with parts.catalogue.read() as connection:
        gone = set(connection.execute(sa.select(c.key_id).where(c.state == SHREDDED)).scalars())
    back = [record.key_id for record in parts.period_keys.list() if record.key_id in gone and not record.destroyed_at]
    for key_id in back:
        try:
            shred_key(parts.period_keys, key_id)
        except KeyDestroyedError:
            continue
    return back


def witnessed_at(log: LogKeeper) -> datetime | None:
    """Time of the newest checkpoint that the second custodian holds, None without a custodian or a checkpoint.

    Raises:
        UnreachableError: there is a custodian, and he cannot be asked.
        IntegrityError: what he holds is not signed by this log's keys.
    """
    custodian = log.custodian()
    newest = None if custodian is None else custodian.newest()
    if newest is None:
        return None
    times = [line.removeprefix(_TIME) for line in newest.checkpoint.extension if line.startswith(_TIME)]
    return datetime.fromisoformat(times[0]) if times else None
