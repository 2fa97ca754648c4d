"""A disclosure over HTTP: by its key alone, within its scope alone, until it ends; everything on record."""

from __future__ import annotations

import csv
import io
import secrets
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from retention.audits.access import audit_access
from retention.catalogue.tables import events
from retention.crypto.suites import suite
from retention.disclosure import requests
from retention.disclosure.prepare import prepare_disclosure
from retention.disclosure.register import Case
from retention.disclosure.scope import Scope
from retention.disclosure.serving import issue_key
from retention.disclosure.tables import disclosures
from tests.retention.sealed_store import SealedStore, hours

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def served(console):
    """A store with records, and an approved disclosure of two of its ten accounts."""
    parts = console.parts
    prepare_disclosure(parts.catalogue)
    tag = secrets.token_hex(4)
    store = SealedStore(parts.root, parts.catalogue, parts.objects, parts.archive, parts.bodies, parts.period_keys)
    store.add([{**row, "user_id": f"{tag}-{row['user_id']}"} for row in hours(48)], partition=f"{tag}.log#1")
    scope = Scope.of(("user_log",), (f"{tag}-u1", f"{tag}-u3"), ("event_id",), START, START + timedelta(days=1))
    now = datetime.now(UTC)
    case = Case("某市公安局", "2026-1", "刑事诉讼法 第五十四条", "investigation")
    number = requests.request(
        parts, case, scope, b"%PDF", expires_at=now + timedelta(days=3), actor="user:ann", now=now
    )
    with pytest.raises(Exception, match="approved by 0 of 2"):
        issue_key(parts, number, actor="user:ann", now=now)
    for actor in ("user:ben", "user:cid"):
        requests.approve(parts, number, actor=actor, now=now)
    return number, issue_key(parts, number, actor="user:ann", now=now)


def caller(console, key):
    client = console.api(None)
    client.headers["Authorization"] = f"Bearer {key}"
    return client


def test_the_scope_and_nothing_else_is_served_and_recorded(console, served) -> None:
    number, key = served
    client = caller(console, key)
    told = client.get("/disclosure").json()
    assert (told["disclosure_id"], told["case_number"]) == (number, "2026-1")
    answer = client.get("/disclosure/records/user_log")
    assert answer.status_code == 200
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    # 24 hours of ten users in turn: u1 and u3 came three times each (1, 11, 21; 3, 13, 23).
    assert sorted(row["user_id"][-2:] for row in rows) == ["u1"] * 3 + ["u3"] * 3
    assert answer.headers["Liucun-Rows"] == "6"
    assert answer.headers["Liucun-Digest"] == suite(console.parts.archive.suite.name).hash(answer.content).hex()
    half = {"since": START.isoformat(), "until": (START + timedelta(hours=12)).isoformat(), "form": "json"}
    assert [row["event_id"] for row in client.get("/disclosure/records/user_log", params=half).json()] == [
        "e1", "e3", "e11"
    ]  # fmt: skip
    with console.parts.catalogue.read() as connection:
        kinds = list(
            connection.execute(sa.select(events.c.kind).where(events.c.subject.like("disclosure:%"))).scalars()
        )
    assert kinds.count("disclosure.served") == 2
    report = audit_access(console.parts)
    assert report.checked["disclosures_served"] >= 2
    assert report.ok


def test_what_lies_outside_the_scope_is_refused(console, served) -> None:
    client = caller(console, served[1])
    assert client.get("/disclosure/records/content").status_code == 400
    assert client.get("/disclosure/records/nothing").status_code == 400
    for since, until in (
        (START - timedelta(seconds=1), START + timedelta(hours=1)),
        (START, START + timedelta(days=2)),
        (START + timedelta(hours=2), START + timedelta(hours=1)),
    ):
        window = {"since": since.isoformat(), "until": until.isoformat()}
        assert client.get("/disclosure/records/user_log", params=window).status_code == 400
    naive = {"since": "2026-03-01T08:00:00"}
    assert client.get("/disclosure/records/user_log", params=naive).status_code == 400
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, "/disclosure/records/user_log").status_code == 405


def test_a_key_opens_nothing_else_and_ends(console, served) -> None:
    number, key = served
    assert caller(console, key).get("/tickets").status_code == 401
    assert caller(console, key).get("/me").status_code == 401
    for wrong in (key[:-1], key + "x", "lcd_", "lcd_" + "x" * 43, "lct_" + "x" * 43):
        assert caller(console, wrong).get("/disclosure").status_code == 401
    d, past = disclosures.c, "2026-01-01T00:00:00.000000Z"
    with console.parts.catalogue.write() as connection:
        kept = connection.execute(sa.select(d.expires_at).where(d.disclosure_id == number)).scalar_one()
        connection.execute(disclosures.update().where(d.disclosure_id == number).values(expires_at=past))
    assert caller(console, key).get("/disclosure").status_code == 401
    with console.parts.catalogue.write() as connection:
        connection.execute(disclosures.update().where(d.disclosure_id == number).values(expires_at=kept))
    assert caller(console, key).get("/disclosure").status_code == 200
    requests.refuse(console.parts, number, reason="case closed", actor="user:dan", now=datetime.now(UTC))
    assert caller(console, key).get("/disclosure/records/user_log").status_code == 401
