"""Accounts, sign-in, lock-out, second factor, sessions, tokens, the first run: behaviour and events."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
import sqlalchemy as sa

from console.access import accounts, first_run, sessions, tokens, totp
from console.access.limits import Limiter, Rate
from console.access.passwords import check_password, fits, hash_password
from console.access.roles import GRANTS, Right, Role, permissions
from console.access.sessions import Stage
from console.access.sign_in import MAX_FAILURES, Visitor, change_password, second_factor, sign_in
from console.errors import (
    AccountError,
    ForbiddenError,
    SetupLinkError,
    SignInFailedError,
    SignInRequiredError,
    TooManyRequestsError,
    WeakPasswordError,
)
from console.tables import accounts as account_table
from console.tables import metadata
from errors import BusyError
from retention.catalogue.tables import events, timestamp
from tests.console.conftest import PASSWORD, make_account
from tests.console.helpers import PlainBodies

HERE = Visitor("127.0.0.1", "test")
BODIES = PlainBodies()


def kinds(catalogue) -> list[str]:
    with catalogue.read() as connection:
        return list(connection.execute(sa.select(events.c.kind).order_by(events.c.id)).scalars())


def set_column(catalogue, name: str, **values: object) -> None:
    with catalogue.write() as connection:
        connection.execute(account_table.update().where(account_table.c.name == name).values(**values))


def test_the_migration_makes_exactly_the_tables(catalogue) -> None:
    with catalogue.read() as connection:
        inspector = sa.inspect(connection)
        for table in metadata.sorted_tables:
            assert {c["name"] for c in inspector.get_columns(table.name)} == {c.name for c in table.columns}
            assert {i["name"] for i in inspector.get_indexes(table.name)} >= {i.name for i in table.indexes}


def test_sign_in_gives_a_session_of_which_the_database_holds_a_digest(catalogue) -> None:
    make_account(catalogue, "alice", Role.REVIEWER)
    secret, stage = sign_in(catalogue, " Alice ", PASSWORD, HERE)
    assert stage is Stage.FULL
    session = sessions.resolve(catalogue, secret)
    assert session is not None
    assert session.account.actor == "user:alice"
    with catalogue.read() as connection:
        dump = json.dumps(
            [list(map(str, row)) for row in connection.execute(sa.select(metadata.tables["console_sessions"]))]
        )
    assert secret not in dump
    sessions.end(catalogue, session)
    assert sessions.resolve(catalogue, secret) is None
    assert kinds(catalogue)[-2:] == ["account.signed_in", "account.signed_out"]


@pytest.mark.parametrize("secret", [None, "", "x", "x" * 5000, "\ud800", "' OR 1=1 --"])
def test_no_other_secret_opens_a_session(catalogue, secret) -> None:
    assert sessions.resolve(catalogue, secret) is None


def test_a_session_ends_idle_and_absolutely(catalogue) -> None:
    make_account(catalogue, "alice")
    secret, _ = sign_in(catalogue, "alice", PASSWORD, HERE)
    now = datetime.now(UTC)
    assert sessions.resolve(catalogue, secret, now=now + timedelta(minutes=31)) is None
    moment = now
    while moment < now + sessions.LIFETIME - timedelta(minutes=20):
        moment += timedelta(minutes=20)
        live = sessions.resolve(catalogue, secret, now=moment)
        assert (live is not None) == (moment < now + sessions.LIFETIME)
    assert sessions.resolve(catalogue, secret, now=now + sessions.LIFETIME + timedelta(seconds=1)) is None


def test_wrong_passwords_lock_the_account_and_nobody_learns_which_names_exist(catalogue) -> None:
    make_account(catalogue, "alice")
    said = set()
    for name in ["alice"] * MAX_FAILURES + ["nobody"]:
        with pytest.raises(SignInFailedError) as caught:
            sign_in(catalogue, name, "wrong", HERE)
        said.add(str(caught.value))
    with pytest.raises(SignInFailedError) as caught:
        sign_in(catalogue, "alice", PASSWORD, HERE)
    said.add(str(caught.value))
    assert len(said) == 1
    set_column(catalogue, "alice", locked_until=timestamp(datetime.now(UTC) - timedelta(seconds=1)))
    _, stage = sign_in(catalogue, "alice", PASSWORD, HERE)
    assert stage is Stage.FULL
    with catalogue.read() as connection:
        assert accounts.account_by(connection, name="alice").locked_until is None
        bodies = connection.execute(sa.select(events.c.body, events.c.subject)).all()
    assert any(json.loads(row.body).get("locked_minutes") == 15 for row in bodies)
    assert not any("nobody" in row.subject for row in bodies)


def test_the_lock_doubles(catalogue) -> None:
    make_account(catalogue, "alice")
    set_column(catalogue, "alice", failures=MAX_FAILURES + 3)
    with pytest.raises(SignInFailedError):
        sign_in(catalogue, "alice", "wrong", HERE)
    with catalogue.read() as connection:
        until = accounts.account_by(connection, name="alice").locked_until
    assert until is not None
    assert datetime.fromisoformat(until) - datetime.now(UTC) > timedelta(hours=3)


def test_a_temporary_password_must_be_changed(catalogue) -> None:
    admin = make_account(catalogue, "root", Role.SYSTEM_ADMIN)
    temporary = accounts.invite(catalogue, by=admin, name="bob", display_name="鲍勃")
    secret, stage = sign_in(catalogue, "bob", temporary, HERE)
    assert stage is Stage.CHANGE
    session = sessions.resolve(catalogue, secret)
    assert session is not None
    with pytest.raises(AccountError):
        change_password(catalogue, session, temporary, temporary, HERE)
    with pytest.raises(WeakPasswordError):
        change_password(catalogue, session, temporary, "short", HERE)
    with pytest.raises(SignInFailedError):
        change_password(catalogue, session, "not it", PASSWORD, HERE)
    newer, stage = change_password(catalogue, session, temporary, PASSWORD, HERE)
    assert stage is Stage.FULL
    assert sessions.resolve(catalogue, secret) is None
    assert sessions.resolve(catalogue, newer) is not None


def test_the_second_factor_takes_each_code_once(catalogue) -> None:
    account = make_account(catalogue, "alice")
    secret = totp.start(catalogue, BODIES, account)
    assert totp.pending(catalogue, BODIES, account) == secret
    assert "<svg" in totp.picture(secret, account)
    with pytest.raises(AccountError):
        totp.confirm(catalogue, BODIES, account, "000000x")
    generator = pyotp.TOTP(secret)
    now = datetime.now(UTC)
    recovery = totp.confirm(catalogue, BODIES, account, generator.at(now - timedelta(seconds=30)))
    assert len(set(recovery)) == totp.RECOVERY_CODES
    waiting, stage = sign_in(catalogue, "alice", PASSWORD, HERE)
    assert stage is Stage.CODE
    session = sessions.resolve(catalogue, waiting)
    assert session is not None
    used = generator.at(now - timedelta(seconds=30))
    with pytest.raises(SignInFailedError):
        second_factor(catalogue, BODIES, session, used, HERE)
    full, stage = second_factor(
        catalogue, BODIES, session, generator.at(datetime.now(UTC) + timedelta(seconds=30)), HERE
    )
    assert stage is Stage.FULL
    assert full != waiting
    assert sessions.resolve(catalogue, waiting) is None

    again, _ = sign_in(catalogue, "alice", PASSWORD, HERE)
    session = sessions.resolve(catalogue, again)
    assert session is not None
    second_factor(catalogue, BODIES, session, recovery[0].upper(), HERE)
    third, _ = sign_in(catalogue, "alice", PASSWORD, HERE)
    session = sessions.resolve(catalogue, third)
    assert session is not None
    for _ in range(MAX_FAILURES):
        with pytest.raises(SignInFailedError):
            second_factor(catalogue, BODIES, session, recovery[0], HERE)
    with pytest.raises(SignInFailedError):
        second_factor(catalogue, BODIES, session, recovery[1], HERE)


def test_settings_may_ask_a_second_factor_of_everybody(catalogue) -> None:
    make_account(catalogue, "alice")
    _, stage = sign_in(catalogue, "alice", PASSWORD, HERE, require_totp=True)
    assert stage is Stage.ENROL


def test_disabling_ends_sessions_and_tokens_at_once(catalogue) -> None:
    admin = make_account(catalogue, "root", Role.SYSTEM_ADMIN)
    alice = make_account(catalogue, "alice", Role.REVIEWER)
    secret, _ = sign_in(catalogue, "alice", PASSWORD, HERE)
    token = tokens.issue(catalogue, alice, name="ci", days=1)
    assert tokens.bearer(catalogue, token).permissions == alice.permissions
    accounts.set_disabled(catalogue, by=admin, name="alice", disabled=True)
    assert sessions.resolve(catalogue, secret) is None
    with pytest.raises(SignInRequiredError):
        tokens.bearer(catalogue, token)
    with pytest.raises(SignInFailedError):
        sign_in(catalogue, "alice", PASSWORD, HERE)
    accounts.set_disabled(catalogue, by=admin, name="alice", disabled=False)
    sign_in(catalogue, "alice", PASSWORD, HERE)


def test_a_token_shrinks_with_its_account_and_may_be_narrower(catalogue) -> None:
    admin = make_account(catalogue, "sec", Role.SECURITY_ADMIN)
    alice = make_account(catalogue, "alice", Role.REVIEWER)
    narrow = tokens.issue(catalogue, alice, name="read", days=1, permissions=[Right.QUEUE_READ])
    assert tokens.bearer(catalogue, narrow).permissions == {Right.QUEUE_READ}
    with pytest.raises(AccountError):
        tokens.issue(catalogue, alice, name="more", days=1, permissions=[Right.ACCOUNTS_MANAGE])
    accounts.set_roles(catalogue, by=admin, name="alice", roles=[Role.SYSTEM_ADMIN])
    assert tokens.bearer(catalogue, narrow).permissions == frozenset()
    with catalogue.read() as connection:
        line = tokens.tokens_of(connection, alice)[0]
    tokens.revoke(catalogue, alice, line.token_id)
    with pytest.raises(SignInRequiredError):
        tokens.bearer(catalogue, narrow)
    with pytest.raises(AccountError):
        tokens.revoke(catalogue, alice, line.token_id)


@pytest.mark.parametrize("token", ["", "lct_", "lct_" + "a" * 43, "x" * 10_000, "lct_\ud800"])
def test_no_other_token_is_taken(catalogue, token) -> None:
    with pytest.raises(SignInRequiredError):
        tokens.bearer(catalogue, token)


def test_nobody_changes_their_own_rights_and_an_auditor_is_nothing_else(catalogue) -> None:
    admin = make_account(catalogue, "sec", Role.SECURITY_ADMIN)
    make_account(catalogue, "bob")
    with pytest.raises(ForbiddenError):
        accounts.set_roles(catalogue, by=admin, name="sec", roles=[Role.SYSTEM_ADMIN])
    with pytest.raises(AccountError):
        accounts.set_roles(catalogue, by=admin, name="bob", roles=[Role.AUDITOR, Role.REVIEWER])
    with pytest.raises(AccountError):
        accounts.set_roles(catalogue, by=admin, name="nobody", roles=[])
    accounts.set_roles(catalogue, by=admin, name="bob", roles=[Role.AUDITOR])
    assert kinds(catalogue)[-1] == "account.roles_changed"


def test_roles_are_separate() -> None:
    changing = {p for p in Right if p.value.endswith((".work", ".approve", ".manage", ".grant", ".prepare", ".open"))}
    assert not GRANTS[Role.AUDITOR] & changing
    for administrator in (Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN):
        assert not GRANTS[administrator] & {Right.EVENTS_READ, Right.CONTENT_READ, Right.PERSONAL_REVEAL}
    assert Right.TICKETS_APPROVE not in GRANTS[Role.REVIEWER]
    assert not GRANTS[Role.SYSTEM_ADMIN] & {Right.ROLES_GRANT, Right.QUEUE_READ}
    assert permissions([]) == frozenset()


def test_the_set_up_link_is_good_once(catalogue) -> None:
    old = first_run.setup_secret(catalogue)
    secret = first_run.setup_secret(catalogue)
    assert old
    assert secret
    person = {"name": "root", "display_name": "管理员", "password": PASSWORD}
    for wrong in (old, "guess", ""):
        with pytest.raises(SetupLinkError):
            first_run.first_account(catalogue, wrong, **person)
    with pytest.raises(WeakPasswordError):
        first_run.first_account(catalogue, secret, **(person | {"password": "short"}))
    first_run.first_account(catalogue, secret, **person)
    with pytest.raises(SetupLinkError):
        first_run.first_account(catalogue, secret, **(person | {"name": "root2"}))
    assert first_run.setup_secret(catalogue) is None
    with catalogue.read() as connection:
        assert accounts.account_by(connection, name="root").roles == first_run.FIRST_ROLES


def test_two_people_using_the_set_up_link_at_once_make_one_account(catalogue) -> None:
    secret = first_run.setup_secret(catalogue)
    assert secret
    outcomes: list[str] = []

    def go(name: str) -> None:
        try:
            first_run.first_account(catalogue, secret, name=name, display_name=name, password=PASSWORD)
            outcomes.append("made")
        except (SetupLinkError, BusyError):
            # PostgreSQL may tell the slower one at once that somebody else was in the way.
            outcomes.append("refused")

    threads = [threading.Thread(target=go, args=(f"root{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made", "refused", "refused", "refused"]


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short",
        "alllowercase",
        "aaaaaaaaaaaaA1",
        "xx-alice-Secret-1",
        "Password123456!",
        "qwerty",
        "x" * 257,
        "\ud800" * 12,
    ],
)
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(WeakPasswordError):
        check_password(password, account="alice")


@pytest.mark.parametrize(
    "password", [PASSWORD, "一句很长很长的口令真的很长很难猜到吧好的好的", "plain words but really long"]
)
def test_good_passwords_pass(password: str) -> None:
    check_password(password, account="alice")


def test_hashes_are_argon2id() -> None:
    kept = hash_password(PASSWORD)
    assert kept.startswith("$argon2id$")
    assert fits(kept, PASSWORD)
    assert not fits(kept, PASSWORD + "x")
    assert not fits(None, "nobody has this password")
    assert not fits("damaged", PASSWORD)
    assert not fits(kept, "x" * 1_000_000)


@pytest.mark.parametrize("name", ["", "a", "Alice", "a b", "-a", "a" * 33, "а" * 3, "../x", "a\n"])
def test_names_are_plain(catalogue, name: str) -> None:
    with pytest.raises(AccountError):
        make_account(catalogue, name)


def test_the_limiter_counts_by_caller_and_refills() -> None:
    now = [0.0]
    limiter = Limiter(clock=lambda: now[0])
    rate = Rate(2, 60)
    limiter.take(rate, "sign-in", "a")
    limiter.take(rate, "sign-in", "a")
    with pytest.raises(TooManyRequestsError) as caught:
        limiter.take(rate, "sign-in", "a")
    assert caught.value.retry_after == 1
    limiter.take(rate, "sign-in", "b")
    now[0] = 1.0
    limiter.take(rate, "sign-in", "a")


def test_saved_views_are_one_s_own(catalogue) -> None:
    alice, bob = make_account(catalogue, "alice"), make_account(catalogue, "bob")
    accounts.save_view(catalogue, by=alice, name="赌博", query="category=gambling")
    accounts.save_view(catalogue, by=alice, name="赌博", query="category=gambling&state=triage")
    with catalogue.read() as connection:
        (view,) = accounts.views_of(connection, alice)
        assert accounts.views_of(connection, bob) == []
    accounts.drop_view(catalogue, by=bob, view_id=view[0])
    with catalogue.read() as connection:
        assert accounts.views_of(connection, alice) == [view]
    with pytest.raises(AccountError):
        accounts.save_view(catalogue, by=alice, name="", query="")
