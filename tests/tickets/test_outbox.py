"""The outbox against a real receiver: orders signed, retried under one key; what the platform answers is taken in."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from retention.catalogue.engine import Catalogue
from tests.tickets.conftest import PlainBodies
from tests.tickets.findings import CONTENT
from tests.tickets.receivers import Received
from tests.tickets.sending import SECRET, again, disposed, orders_of, step
from tickets.delivery.signing import verify
from tickets.messages import put
from tickets.outbox import MAX_ATTEMPTS, list_outbox, send_again
from tickets.queue import ticket_detail
from tickets.service import Desk
from tickets.settings import PlatformSettings, TicketSettings
from tickets.states import Part, State
from tickets.tables_sending import outbox


@pytest.mark.parametrize("algorithm", ["hmac-sm3", "hmac-sha256"])
def test_an_order_goes_out_signed_and_its_answer_sets_the_clock(
    ordering: Desk, platform: Received, algorithm: str
) -> None:
    url = ordering.settings.platform.url
    desk = replace(ordering, settings=TicketSettings(platform=PlatformSettings(url=url, algorithm=algorithm)))
    ticket = disposed(desk)
    assert (ticket.effect, ticket.effective_at) == ("ordered", None)
    assert ticket.due_on, "counted provisionally from the order"
    moment = datetime.now(UTC) + timedelta(milliseconds=300)
    platform.answer(200, {"acknowledged": True, "effective_at": moment.isoformat(), "reference": "P-7"})
    time.sleep(0.35)
    assert step(desk).sent == 1
    after = again(desk, ticket.ticket_id)
    assert after.effect == "acknowledged"
    assert datetime.fromisoformat(str(after.effective_at)) == moment
    ((path, headers, body),) = platform.requests
    assert path == "/orders"
    key = verify(SECRET, headers, body, now=time.time())
    assert key == headers["idempotency-key"]
    said = json.loads(body)
    assert (said["measure"], said["content_id"], said["account"]) == ("delete", "c1", "u1")
    assert CONTENT.text not in body.decode(), "an order names content, it does not repeat it"
    assert step(desk).sent == 0


def test_a_platform_that_fails_is_asked_again_under_the_same_key(ordering: Desk, platform: Received) -> None:
    ticket = disposed(ordering)
    platform.answer(503)
    platform.answer(429)
    platform.answer(202, b"later")
    now = datetime.now(UTC)
    assert step(ordering, now=now).again == 1
    assert step(ordering, now=now).again == 0, "not before its pause"
    assert step(ordering, now=now + timedelta(minutes=1)).again == 1
    assert step(ordering, now=now + timedelta(minutes=5)).sent == 1
    assert len({headers["idempotency-key"] for _, headers, _ in platform.requests}) == 1
    assert again(ordering, ticket.ticket_id).effect == "ordered", "taken is not carried out"
    with ordering.catalogue.read() as connection:
        detail = ticket_detail(connection, ordering.bodies, ticket.ticket_id)
    (sent,) = [event for event in detail.timeline if event["kind"] == "outbox.sent"]
    assert sent["attempts"] == 3


def test_a_refused_order_brings_the_ticket_back(ordering: Desk, platform: Received) -> None:
    ticket = disposed(ordering)
    platform.answer(400, b"unknown content")
    assert step(ordering).failed == 1
    after = again(ordering, ticket.ticket_id)
    assert (after.state, after.part) == (State.DISPOSED, Part.DISPOSE)
    with ordering.catalogue.write() as connection:
        (entry,) = list_outbox(connection, state="failed")
        assert "400" in str(entry.error)
        assert send_again(connection, "os:alice", entry.id)
    platform.answers.clear()
    platform.answer(200, {"acknowledged": True})
    assert step(ordering).sent == 1
    after = again(ordering, ticket.ticket_id)
    assert (after.effect, after.part) == ("acknowledged", Part.REPORT)


def test_an_order_that_was_tried_for_a_day_is_refused(ordering: Desk, platform: Received) -> None:
    disposed(ordering)
    platform.answer(503)
    now = datetime.now(UTC)
    with ordering.catalogue.write() as connection:
        connection.execute(outbox.update().values(attempts=MAX_ATTEMPTS - 2))
    assert step(ordering, now=now).again == 1
    assert orders_of(ordering) == ["waiting"]
    assert step(ordering, now=now + timedelta(hours=1)).failed == 1
    assert orders_of(ordering) == ["refused"]


@pytest.mark.parametrize(
    "answer", [b"[" * 5000, b"\xff\xfe", b"[]", b'{"acknowledged": "yes"}', b"x" * 200_000, b'{"acknowledged": 1}']
)
def test_hostile_answers_acknowledge_nothing(ordering: Desk, platform: Received, answer: bytes) -> None:
    ticket = disposed(ordering)
    platform.answer(200, answer)
    assert step(ordering).sent == 1
    assert again(ordering, ticket.ticket_id).effective_at is None


@pytest.mark.parametrize(
    "moment",
    [
        "2020-01-01T00:00:00+00:00",
        "2999-01-01T00:00:00+00:00",
        "0001-01-01T00:00:00+00:00",
        "0001-01-01T00:00:00+08:00",
        "9999-12-31T23:59:59-08:00",
        "2026-11-24T10:00",
        "x",
    ],
)
def test_times_that_cannot_be_are_bounded_by_order_and_answer(ordering: Desk, platform: Received, moment: str) -> None:
    ticket = disposed(ordering)
    platform.answer(200, {"acknowledged": True, "effective_at": moment})
    assert step(ordering).sent == 1
    after = again(ordering, ticket.ticket_id)
    assert str(after.ordered_at) <= str(after.effective_at) <= datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_redirects_are_not_followed(ordering: Desk, platform: Received) -> None:
    disposed(ordering)
    platform.answer(302, b"", Location=f"http://127.0.0.1:{platform.port}/elsewhere")
    assert step(ordering).failed == 1
    assert len(platform.requests) == 1


def test_nobody_there_and_no_secret_are_tried_again(ordering: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        desk = replace(ordering, settings=TicketSettings(platform=PlatformSettings(url=url)))
        disposed(desk)
        assert step(desk).again == 1
    monkeypatch.delenv("LIUCUN_PLATFORM_SECRET")
    assert step(desk, now=datetime.now(UTC) + timedelta(minutes=1)).again == 1
    with desk.catalogue.read() as connection:
        assert "LIUCUN_PLATFORM_SECRET" in str(list_outbox(connection)[0].error)


def test_a_message_in_a_dead_worker_s_hand_comes_back(ordering: Desk, platform: Received) -> None:
    from tickets.outbox import _take

    disposed(ordering)
    now = datetime.now(UTC)
    assert _take(ordering.catalogue, now) is not None
    platform.answer(200, {"acknowledged": True})
    assert step(ordering, now=now).sent == 0
    assert step(ordering, now=now + timedelta(minutes=4)).sent == 1


def test_a_message_is_written_once_under_its_key(catalogue: Catalogue, bodies: PlainBodies) -> None:
    with catalogue.write() as connection:
        for _ in range(3):
            put(connection, bodies, channel="mail", subject="s", key="k", body={})
        assert len(list_outbox(connection)) == 1
