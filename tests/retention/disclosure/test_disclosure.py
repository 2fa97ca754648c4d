"""Disclosure: two other people approve, and exactly the scope that was asked for goes out, until it ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from retention.disclosure import bundle, serving
from retention.disclosure.errors import DisclosureKeyError, DisclosureScopeError, DisclosureStateError
from retention.disclosure.export import export
from retention.disclosure.register import Case, document, list_disclosures, read
from retention.disclosure.requests import approve, refuse, request
from retention.disclosure.scope import Scope
from retention.disclosure.verify import verify
from retention.second_person import SecondPersonError
from retention.transparency.verify import verify_log
from tests.retention.disclosure.exports import CASE, NOW, SCOPE, exported, log_of, requested
from tests.retention.sealed_store import START, SealedStore


def test_exactly_the_scope_goes_out_and_holds(archive: SealedStore) -> None:
    made = exported(archive)
    assert made.rows == {"data/user_log.csv": 10}
    files = bundle.unpack(made.data)
    header, *rows = files["data/user_log.csv"].decode().splitlines()
    assert header == "log_source,log_partition,log_offset,event_time,event_id,user_id,source_ip"
    assert {row.split(",")[5] for row in rows} == {"u1", "u3"}
    verdict = verify(made.data)
    assert verdict.rows == {"data/user_log.csv": 10}
    assert verdict.segments == 1
    assert not verdict.trusted
    trusted = verify(made.data, known_keys=[v.encode() for v in log_of(archive).verifiers])
    assert trusted.trusted
    assert any("All 10 rows lie within the approved scope" in line for line in verdict.words)
    found = read(archive, made.disclosure.disclosure_id)
    assert found.exports == 1
    assert document(archive, found.disclosure_id, actor="user:ben", now=NOW) == b"%PDF case"
    log = log_of(archive)
    log.keep()
    assert verify_log(log).faults == []


def test_two_people_other_than_the_requester_approve(archive: SealedStore) -> None:
    number = requested(archive)
    with pytest.raises(DisclosureStateError, match="approved by 0 of 2"):
        export(archive, log_of(archive), number, actor="user:ann", now=NOW)
    for actor in ("user:ann", "os:root", "system:worker"):
        with pytest.raises(SecondPersonError):
            approve(archive, number, actor=actor, now=NOW)
    approve(archive, number, actor="user:ben", now=NOW)
    with pytest.raises(SecondPersonError):
        approve(archive, number, actor="user:ben", now=NOW)
    with pytest.raises(DisclosureStateError, match="approved by 1 of 2"):
        export(archive, log_of(archive), number, actor="user:ann", now=NOW)
    assert approve(archive, number, actor="user:cid", now=NOW).state == "approved"
    with pytest.raises(DisclosureStateError, match="expired"):
        export(archive, log_of(archive), number, actor="user:ann", now=NOW + timedelta(days=30))
    refuse(archive, number, reason="withdrawn", actor="user:dan", now=NOW)
    with pytest.raises(DisclosureStateError, match="refused"):
        export(archive, log_of(archive), number, actor="user:ann", now=NOW)
    with pytest.raises(DisclosureStateError, match="over"):
        approve(archive, number, actor="user:eve", now=NOW)
    assert [item.state for item in list_disclosures(archive)] == ["refused"]


def test_one_that_is_refused_while_its_bundle_is_made_is_not_handed_out(
    archive: SealedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = requested(archive)
    for actor in ("user:ben", "user:cid"):
        approve(archive, number, actor=actor, now=NOW)

    def made(*_given: object, **_more: object) -> bytes:
        refuse(archive, number, reason="the case was closed", actor="user:ben", now=NOW)
        return b"%PDF"

    monkeypatch.setattr("retention.disclosure.export.write_pdf", made)
    with pytest.raises(DisclosureStateError, match="refused"):
        export(archive, log_of(archive), number, actor="user:ann", now=NOW)
    assert read(archive, number).exports == 0


@pytest.mark.parametrize("what", ["refused", "taken back"])
def test_what_ends_while_an_answer_is_made_is_not_served(
    archive: SealedStore, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    number = requested(archive)
    for actor in ("user:ben", "user:cid"):
        approve(archive, number, actor=actor, now=NOW)
    key = serving.issue_key(archive, number, actor="user:ann", now=NOW)
    found = serving.opened_by(archive, key, now=NOW)
    assert serving.serve(archive, found, "user_log", key=key, now=NOW).rows == 10
    asked = serving.run_query

    def ended(*given: Any, **more: Any) -> Any:
        if what == "refused":
            refuse(archive, number, reason="x", actor="user:ben", now=NOW)
        else:
            serving.revoke_key(archive, number, serving.key_id_of(key), actor="user:ann", now=NOW)
        return asked(*given, **more)

    monkeypatch.setattr(serving, "run_query", ended)
    with pytest.raises(DisclosureKeyError):
        serving.serve(archive, found, "user_log", key=key, now=NOW)


def test_what_is_asked_for_must_exist_and_be_bounded(archive: SealedStore) -> None:
    day = timedelta(days=1)
    wrong: list[Callable[[], object]] = [
        lambda: Scope.of((), ("u",), ("source_ip",), START, START + day),
        lambda: Scope.of(("nothing",), ("u",), ("source_ip",), START, START + day),
        lambda: Scope.of(("user_log",), (), ("source_ip",), START, START + day),
        lambda: Scope.of(("user_log",), ("",), ("source_ip",), START, START + day),
        lambda: Scope.of(("user_log",), ("u",), ("no_such_column",), START, START + day),
        lambda: Scope.of(("user_log",), ("u",), ("source_ip",), START, START),
        lambda: Scope.of(("user_log",), ("u",), ("source_ip",), datetime(2026, 1, 1), START),
        lambda: Scope.from_json({}),
        lambda: request(archive, CASE, SCOPE, b"", expires_at=NOW + day, actor="a", now=NOW),
        lambda: request(archive, CASE, SCOPE, b"x", expires_at=NOW + 91 * day, actor="a", now=NOW),
        lambda: request(archive, CASE, SCOPE, b"x", expires_at=NOW, actor="a", now=NOW),
        lambda: request(
            archive, Case("a" * 2001, "1", "b", "r"), SCOPE, b"x", expires_at=NOW + day, actor="a", now=NOW
        ),
        lambda: request(archive, Case("a", "\udcff", "b", "r"), SCOPE, b"x", expires_at=NOW + day, actor="a", now=NOW),
        *(
            (lambda name=name: request(archive, CASE, about(name), b"x", expires_at=NOW + day, actor="a", now=NOW))
            for name in ("a\0b", "\udcff", "a" * 1001)
        ),
        lambda: request(archive, Case("", "1", "b", "r"), SCOPE, b"x", expires_at=NOW + day, actor="a", now=NOW),
    ]
    for attempt in wrong:
        with pytest.raises(DisclosureScopeError):
            attempt()
    assert list_disclosures(archive) == []


def about(account: str) -> Scope:
    return Scope.of(("user_log",), (account,), ("source_ip",), START, START + timedelta(days=2))


def test_names_that_would_break_a_query_are_only_names(archive: SealedStore) -> None:
    scope = Scope.of(("user_log",), ("u1' OR '1'='1", 'x"; DROP'), ("event_id",), START, START + timedelta(days=9))
    made = exported(archive, scope)
    assert made.rows == {"data/user_log.csv": 0}
    assert verify(made.data).segments == 0
