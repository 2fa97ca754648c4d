"""The second factor: time-based codes (RFC 6238), each accepted once, and recovery codes for a lost device."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pyotp
import segno
import sqlalchemy as sa

from console.access.accounts import Account, record
from console.access.secrets import digest, readable
from console.errors import AccountError
from console.tables import accounts, recovery_codes
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import timestamp
from tickets.bodies import Bodies

STEP: Final = 30
RECOVERY_CODES: Final = 10
RECOVERY_LENGTH: Final = 10
_ISSUER: Final = "Liucun 留存"


def _context(account_id: str) -> bytes:
    return f"console totp\x00{account_id}".encode()


def start(catalogue: Catalogue, bodies: Bodies, account: Account) -> str:
    """A fresh secret (base32), sealed with the account, not in force before a code of it was shown."""
    secret = pyotp.random_base32()
    sealed = bodies.seal(secret.encode(), _context(account.account_id))
    with catalogue.write() as connection:
        if _confirmed(connection, account.account_id):
            raise AccountError("There is a second factor already.", cure="Take it off first, with a code of it.")
        connection.execute(
            accounts.update().where(accounts.c.account_id == account.account_id).values(totp_secret=sealed)
        )
    return secret


def pending(catalogue: Catalogue, bodies: Bodies, account: Account) -> str | None:
    """The secret that was begun and not yet confirmed."""
    with catalogue.read() as connection:
        if _confirmed(connection, account.account_id):
            return None
        return _secret(connection, bodies, account.account_id)


def confirm(catalogue: Catalogue, bodies: Bodies, account: Account, code: str) -> list[str]:
    """Put the second factor in force by a first code; the recovery codes are returned once.

    Raises:
        AccountError: the code does not fit, or nothing was begun.
    """
    codes = [readable(RECOVERY_LENGTH) for _ in range(RECOVERY_CODES)]
    with catalogue.write() as connection:
        secret = _secret(connection, bodies, account.account_id)
        step = _step(secret, code, after=0) if secret else None
        if step is None or _confirmed(connection, account.account_id):
            raise AccountError("The code does not fit.", cure="Check the device's clock and type the newest code.")
        connection.execute(
            accounts.update()
            .where(accounts.c.account_id == account.account_id)
            .values(totp_confirmed_at=timestamp(), totp_last_step=step)
        )
        connection.execute(recovery_codes.delete().where(recovery_codes.c.account_id == account.account_id))
        connection.execute(
            recovery_codes.insert(), [{"account_id": account.account_id, "digest": digest(code)} for code in codes]
        )
        record(connection, "account.totp_added", account.actor, account.name, {})
    return codes


def remove(catalogue: Catalogue, bodies: Bodies, account: Account, code: str) -> None:
    """Take the second factor off, with a code of it.

    Raises:
        AccountError: the code does not fit.
    """
    with catalogue.write() as connection:
        if not accept(connection, bodies, account, code):
            raise AccountError("The code does not fit.", cure="Type the newest code of the device.")
        connection.execute(
            accounts.update()
            .where(accounts.c.account_id == account.account_id)
            .values(totp_secret=None, totp_confirmed_at=None)
        )
        connection.execute(recovery_codes.delete().where(recovery_codes.c.account_id == account.account_id))
        record(connection, "account.totp_removed", account.actor, account.name, {})


def accept(connection: sa.Connection, bodies: Bodies, account: Account, code: str) -> bool:
    """Whether a code (or an unused recovery code) fits; what was accepted once is not accepted again."""
    code = code.strip().replace(" ", "").lower()
    row = connection.execute(
        sa.select(accounts.c.totp_last_step).where(accounts.c.account_id == account.account_id)
    ).one()
    secret = _secret(connection, bodies, account.account_id)
    if secret is None or not _confirmed(connection, account.account_id):
        return False
    step = _step(secret, code, after=row.totp_last_step)
    if step is not None:
        moved = connection.execute(
            accounts.update()
            .where(accounts.c.account_id == account.account_id, accounts.c.totp_last_step < step)
            .values(totp_last_step=step)
        )
        return moved.rowcount == 1
    used = connection.execute(
        recovery_codes.delete().where(
            recovery_codes.c.account_id == account.account_id, recovery_codes.c.digest == digest(code)
        )
    )
    if used.rowcount == 1:
        record(connection, "account.recovery_code_used", account.actor, account.name, {})
        return True
    return False


def picture(secret: str, account: Account) -> str:
    """The QR code for an authenticator, as an inline SVG."""
    uri = pyotp.TOTP(secret, interval=STEP).provisioning_uri(name=account.name, issuer_name=_ISSUER)
    return segno.make(uri, error="m").svg_inline(scale=4, border=2, dark="#111", light="#fff")


def _step(secret: str, code: str, *, after: int) -> int | None:
    """The time step whose code this is, one before to one after now, if it lies after ``after``."""
    if len(code) != 6 or not code.isascii() or not code.isdigit():
        return None
    now = int(datetime.now(UTC).timestamp()) // STEP
    generator = pyotp.TOTP(secret, interval=STEP)
    for step in (now, now - 1, now + 1):
        if step > after and pyotp.utils.strings_equal(generator.generate_otp(step), code):
            return step
    return None


def _confirmed(connection: sa.Connection, account_id: str) -> bool:
    found = sa.select(accounts.c.totp_confirmed_at).where(accounts.c.account_id == account_id)
    return connection.execute(found).scalar_one() is not None


def _secret(connection: sa.Connection, bodies: Bodies, account_id: str) -> str | None:
    sealed = connection.execute(
        sa.select(accounts.c.totp_secret).where(accounts.c.account_id == account_id)
    ).scalar_one()
    return None if sealed is None else bodies.open(sealed, _context(account_id)).decode()
