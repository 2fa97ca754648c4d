"""A catalogue with every room's tables, and accounts of each role."""

from __future__ import annotations

import pytest

from console.access.accounts import Account, account_by, add_roles, create_account
from console.access.roles import Role
from console.migrate import SCRIPTS as CONSOLE_SCRIPTS
from liucun.store import TICKET_SCRIPTS
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate

PASSWORD = "Correct-horse-9-battery"


@pytest.fixture
def catalogue(catalogue_url: str):
    opened = Catalogue.open(catalogue_url)
    migrate(opened)
    migrate(opened, room="tickets", script_location=TICKET_SCRIPTS)
    migrate(opened, room="console", script_location=CONSOLE_SCRIPTS)
    yield opened
    opened.close()


def make_account(catalogue: Catalogue, name: str, *roles: Role, password: str = PASSWORD) -> Account:
    """An account ready to sign in."""
    with catalogue.write() as connection:
        number = create_account(
            connection, actor="system:test", name=name, display_name=name, password=password, must_change=False
        )
        add_roles(connection, number, roles)
        return account_by(connection, account_id=number)


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    """A running console, shared by the tests of a file."""
    from tests.console.running import make_parts, running

    parts = make_parts(tmp_path_factory.mktemp("console") / "store")
    with running(parts) as found:
        yield found
    parts.catalogue.close()
    parts.period_keys.close()
