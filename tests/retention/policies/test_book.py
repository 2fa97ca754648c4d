"""Policies as data: floors of the law, the second person, the wait before a shorter period counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate
from retention.catalogue.tables import events
from retention.crypto.bodies import BESIDE
from retention.policies import book
from retention.policies.errors import (
    FloorError,
    PolicyFileError,
    PolicyStateError,
    PolicyUnknownError,
)
from retention.policies.model import Rank, read_matrix, shipped_matrix
from retention.policies.periods import CalendarPeriod
from retention.policies.prepare import prepare_policies
from retention.policies.settings import RetentionSettings
from retention.schema import RecordClass
from retention.second_person import SecondPersonError

NOW = datetime(2026, 11, 24, 4, tzinfo=UTC)
SETTINGS = RetentionSettings()


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    made = Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.db'}")
    migrate(made)
    prepare_policies(made)
    yield made
    made.close()


def propose(catalogue: Catalogue, record_class: str, floor: str, **more: object) -> book.Proposal:
    given = {"ceiling": None, "basis": "counsel's note 7", "rank": Rank.LAW, "actor": "ann", "now": NOW, **more}
    return book.propose(catalogue, record_class, floor=CalendarPeriod.parse(floor), **given)  # type: ignore[arg-type]


def kinds(catalogue: Catalogue) -> list[str]:
    with catalogue.read() as connection:
        return list(connection.execute(sa.select(events.c.kind).order_by(events.c.id)).scalars())


def test_every_class_has_a_policy_that_keeps_the_law() -> None:
    matrix = shipped_matrix()
    assert set(matrix.policies) == {c.value for c in RecordClass} | BESIDE
    assert str(matrix.policies["transaction"].floor) == "P3Y"
    assert matrix.policies["transaction"].rank.outweighs_deletion
    assert not matrix.policies["content"].rank.outweighs_deletion
    for policy in matrix.policies.values():
        matrix.check(policy)
        assert policy.floor.shorter_than(policy.ceiling)


@pytest.mark.parametrize(
    ("record_class", "floor", "law"),
    [
        ("transaction", "P2Y11M30D", "电子商务法"),
        ("transaction", "P1095D", "电子商务法"),
        ("user_log", "P365D", "15(3)"),
        ("content", "P60D", "15(3)"),
        ("unparsed", "P1Y", "电子商务法"),
        ("evidence", "P11M", "15(3)"),
        ("seller_identity", "P1Y", "网络交易监督管理办法"),
    ],
)
def test_no_setting_goes_under_a_floor(catalogue: Catalogue, record_class: str, floor: str, law: str) -> None:
    with pytest.raises(FloorError, match=law.replace("(", r"\(").replace(")", r"\)")) as refused:
        propose(catalogue, record_class, floor)
    assert refused.value.exit_code == 9
    assert kinds(catalogue) == ["policy.refused"]
    with catalogue.read() as connection:
        assert book.in_force(connection, date(2030, 1, 1)) == dict(shipped_matrix().policies)


def test_a_longer_period_counts_once_a_second_person_approves(catalogue: Catalogue) -> None:
    asked = propose(catalogue, "user_log", "P2Y")
    assert not asked.shortens
    with catalogue.read() as connection:
        assert str(book.in_force(connection, date(2026, 11, 24))["user_log"].floor) == "P1Y"
    with pytest.raises(SecondPersonError):
        book.approve(catalogue, "user_log", asked.policy.version, actor="ann", now=NOW, settings=SETTINGS)
    book.approve(catalogue, "user_log", asked.policy.version, actor="ben", now=NOW, settings=SETTINGS)
    with catalogue.read() as connection:
        found = book.in_force(connection, date(2026, 11, 24))["user_log"]
        assert (str(found.floor), found.approved_by, found.version) == ("P2Y", "ben", 2)
        assert str(book.in_force(connection, date(2026, 11, 23))["user_log"].floor) == "P1Y"
    assert kinds(catalogue) == ["policy.proposed", "policy.approved"]


def test_a_shorter_period_waits_and_can_be_taken_back(catalogue: Catalogue) -> None:
    longer = propose(catalogue, "user_log", "P2Y")
    book.approve(catalogue, "user_log", longer.policy.version, actor="ben", now=NOW, settings=SETTINGS)
    shorter = propose(catalogue, "user_log", "P1Y")
    assert shorter.shortens
    made = book.approve(catalogue, "user_log", shorter.policy.version, actor="cid", now=NOW, settings=SETTINGS)
    assert made.in_force_from == date(2026, 12, 24)
    with catalogue.read() as connection:
        assert str(book.in_force(connection, date(2026, 12, 23))["user_log"].floor) == "P2Y"
        assert str(book.in_force(connection, date(2026, 12, 24))["user_log"].floor) == "P1Y"
        assert [(p.state, p.shortens) for p in book.proposals(connection, date(2026, 12, 1))] == [("approved", True)]
    book.withdraw(catalogue, "user_log", shorter.policy.version, actor="dan", now=NOW + timedelta(days=29))
    with catalogue.read() as connection:
        assert str(book.in_force(connection, date(2027, 12, 24))["user_log"].floor) == "P2Y"
    with pytest.raises(PolicyStateError):
        book.withdraw(catalogue, "user_log", longer.policy.version, actor="dan", now=NOW)


def test_what_was_approved_last_counts_whatever_its_number(catalogue: Catalogue) -> None:
    def approve(version: int, days: int) -> None:
        at = NOW + timedelta(days=days)
        book.approve(catalogue, "user_log", version, actor="user:ben", now=at, settings=SETTINGS)

    def floor(days: int) -> str:
        with catalogue.read() as connection:
            return str(book.in_force(connection, date(2026, 11, 24) + timedelta(days=days))["user_log"].floor)

    low, high, short = (
        propose(catalogue, "user_log", period, actor="user:ann").policy.version for period in ("P5Y", "P2Y", "P14M")
    )
    approve(high, 0)
    assert floor(0) == "P2Y"
    approve(short, 1)
    waits = SETTINGS.policy_waiting_days
    assert (floor(2), floor(waits + 1)) == ("P2Y", "P14M")
    approve(low, 2)
    assert (floor(2), floor(waits + 1)) == ("P5Y", "P5Y"), "the last word is the longer period's"
    with catalogue.read() as connection:
        assert book.proposals(connection, date(2026, 11, 26)) == [], "nothing waits that will never count"


def test_wrong_use_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(PolicyUnknownError):
        propose(catalogue, "nothing", "P3Y")
    with pytest.raises(PolicyUnknownError):
        book.approve(catalogue, "user_log", 9, actor="ben", now=NOW, settings=SETTINGS)
    with pytest.raises(PolicyFileError):
        propose(catalogue, "user_log", "P2Y", ceiling=CalendarPeriod.parse("P1Y"))
    asked = propose(catalogue, "user_log", "P2Y")
    book.approve(catalogue, "user_log", asked.policy.version, actor="ben", now=NOW, settings=SETTINGS)
    with pytest.raises(PolicyStateError):
        book.approve(catalogue, "user_log", asked.policy.version, actor="cid", now=NOW, settings=SETTINGS)


def test_the_trail_tells_what_was_asked(catalogue: Catalogue) -> None:
    propose(catalogue, "content", "P5Y")
    with catalogue.read() as connection:
        row = connection.execute(sa.select(events)).one()
    assert row.subject == "policy:content"
    body = json.loads(row.body)
    assert (body["before"], body["floor"], body["ceiling"], body["version"]) == ("P1Y", "P5Y", "P5Y3M", 2)
    assert body["basis"] == "counsel's note 7"


def test_a_damaged_matrix_is_refused() -> None:
    text = (Path(book.__file__).parent / "matrix.toml").read_text(encoding="utf-8")
    for old, new in [("version = 1", ""), ('"P3Y"', '"3 years"'), ('rank = "law"', 'rank = "wish"')]:
        with pytest.raises(PolicyFileError):
            read_matrix(text.replace(old, new, 1))
    with pytest.raises(PolicyFileError):
        read_matrix(text.replace('record_class = "content"', 'record_class = "evidence"'))
    with pytest.raises(FloorError):
        read_matrix(
            text.replace('record_class = "transaction"\nfloor = "P3Y"', 'record_class = "transaction"\nfloor = "P1Y"')
        )


@pytest.mark.parametrize("name", ["policy_waiting_days", "purge_waiting_days", "least_age_days"])
def test_waits_cannot_be_set_to_nothing(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        RetentionSettings.model_validate({name: 0})
