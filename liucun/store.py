"""Opens a store for a command: settings, passphrase, keys, tables of every room, who is acting, and whether he may."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import sqlalchemy as sa

import tickets
import tickets.samples.tables  # these declare, too, whose rows the log keeps images of
import tickets.tables_sending
import tickets.tables_work
from liucun.passphrase import passphrase
from liucun.settings import Settings, read_settings
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate
from retention.crypto.bodies import BodyCipher
from retention.keys.periods import PeriodKeys
from retention.objects.base import ObjectStore
from retention.places import database_url
from retention.segments import Archive
from retention.store import Store, require_parts
from tickets.actors import Actor, Right

ANYBODY: Final[tuple[Right, ...]] = ()
"""For ``open_store``: the step needs no right. Each use says why beside it; docs/rights.md lists them."""
TICKET_SCRIPTS = Path(tickets.__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class OpenStore:
    """A store opened for a command, and who acts: the account of ``LIUCUN_TOKEN``, else ``os:USER``."""

    store: Store
    settings: Settings
    acting: Actor

    @property
    def actor(self) -> str:
        """Name of who acts, as events have it."""
        return self.acting.name

    @property
    def root(self) -> Path:
        """The store's folder."""
        return self.store.root

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue's database, tickets included."""
        return self.store.catalogue

    @property
    def archive(self) -> Archive:
        """The sealed segments."""
        return self.store.archive

    @property
    def objects(self) -> ObjectStore:
        """Where the segments' bytes lie."""
        return self.store.objects

    @property
    def period_keys(self) -> PeriodKeys:
        """The keys by class and month."""
        return self.store.period_keys

    @property
    def bodies(self) -> BodyCipher:
        """Seals small values of the database."""
        return self.store.bodies


@contextmanager
def open_store(root: Path, needs: Right | tuple[Right, ...]) -> Iterator[OpenStore]:
    """Open the store in ``root`` with the passphrase of the environment or the prompt, for who has the rights it needs.

    Raises:
        SettingsError, KeyAccessError, StorageError: what is missing or wrong; nothing was written.
        SignInRequiredError: the token is unknown, expired or revoked.
        NotPermittedError: who acts lacks a right (see ``acting_account``).
    """
    settings = read_settings(root)
    with Store.open(root, settings.store, passphrase) as store:
        prepare_tables(store.catalogue)
        acting = acting_account(store.catalogue)
        for right in (needs,) if isinstance(needs, Right) else needs:
            acting.require(right)
        yield OpenStore(store, settings, acting)
    for warning in store.log.warnings:
        click.echo(f"liucun: warning 警告: {warning}", err=True)


def prepare_tables(catalogue: Catalogue) -> None:
    """Bring the tables of the rooms above the archive up to date."""
    migrate(catalogue, room="tickets", script_location=TICKET_SCRIPTS)


def acting_account(catalogue: Catalogue) -> Actor:
    """Who acts: the account whose token is in ``LIUCUN_TOKEN``, else the user of the operating system.

    A token carries what it was made for, of what its account may. Without one, the user of the operating system may
    do everything while the store has no account (and is never the second person); once it has any, he operates.

    Raises:
        SignInRequiredError: the token is unknown, expired or revoked.
    """
    token = os.environ.get("LIUCUN_TOKEN")
    if token:
        from console.access.tokens import bearer
        from console.migrate import prepare_tables as prepare_console

        prepare_console(catalogue)
        found = bearer(catalogue, token.strip())
        return Actor(found.account.actor, found.account.roles, found.permissions)
    return Actor.operator(local_user()) if _has_accounts(catalogue) else Actor.of(local_user())


def require_at(root: Path, settings: Settings, right: Right) -> None:
    """Let who acts go on with a step that changes a store's files and needs none of its keys.

    Raises:
        SignInRequiredError, NotPermittedError: as ``open_store`` does.
        SettingsError: the store's catalogue is not there.
    """
    require_parts(root, settings.archive)
    catalogue = Catalogue.open(database_url(root, settings.archive.catalogue))
    try:
        acting_account(catalogue).require(right)
    finally:
        catalogue.close()


def _has_accounts(catalogue: Catalogue) -> bool:
    from console.tables import accounts

    with catalogue.read() as connection:
        if not sa.inspect(connection).has_table(accounts.name):
            return False
        return connection.execute(sa.select(accounts.c.account_id).limit(1)).first() is not None


def local_user() -> str:
    """Who acts when no account does."""
    try:
        return f"os:{getpass.getuser()}"
    except (KeyError, OSError):
        return "os:unknown"
