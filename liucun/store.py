"""Opens a store for a command: settings, passphrase, keys, tables of every room, and who is acting."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

import tickets
import tickets.tables_sending
import tickets.tables_work
from liucun.passphrase import passphrase
from liucun.settings import Settings, read_settings
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate
from retention.crypto.bodies import BodyCipher
from retention.keys.periods import PeriodKeys
from retention.objects.base import ObjectStore
from retention.segments import Archive
from retention.store import Store
from tickets.actors import Actor

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
def open_store(root: Path) -> Iterator[OpenStore]:
    """Open the store in ``root`` with the passphrase of the environment or the prompt.

    Raises:
        SettingsError, KeyAccessError, StorageError: what is missing or wrong; nothing was written.
    """
    settings = read_settings(root)
    with Store.open(root, settings.store, passphrase) as store:
        prepare_tables(store.catalogue)
        yield OpenStore(store, settings, acting_account(store.catalogue))
    for warning in store.log.warnings:
        click.echo(f"liucun: warning 警告: {warning}", err=True)


def prepare_tables(catalogue: Catalogue) -> None:
    """Bring the tables of the rooms above the archive up to date."""
    migrate(catalogue, room="tickets", script_location=TICKET_SCRIPTS)


def acting_account(catalogue: Catalogue) -> Actor:
    """Who acts: the account whose token is in ``LIUCUN_TOKEN``, else the user of the operating system.

    Raises:
        SignInRequiredError: the token is unknown, expired or revoked.
    """
    token = os.environ.get("LIUCUN_TOKEN")
    if token:
        from console.access.tokens import bearer
        from console.migrate import prepare_tables as prepare_console

        prepare_console(catalogue)
        account = bearer(catalogue, token.strip()).account
        return Actor(account.actor, account.roles)
    return Actor.of(local_user())


def local_user() -> str:
    """Who acts when no account does."""
    try:
        return f"os:{getpass.getuser()}"
    except (KeyError, OSError):
        return "os:unknown"
