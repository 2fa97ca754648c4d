"""Findings told to the platform: signed, once for each commit, after every order, without a word of the text."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from errors import LiucunError
from retention.catalogue.engine import Catalogue
from retention.segments import Archive
from tests.services import servers
from tests.tickets.conftest import PlainBodies
from tests.tickets.findings import CONTENT, HIT, NOW
from tests.tickets.receivers import Received
from tests.tickets.sending import SECRET, step
from tickets.calendar.reading import shipped_calendar
from tickets.delivery.signing import verify
from tickets.messages import PLATFORM, put
from tickets.opening import ContentFinding, open_or_extend, prepare
from tickets.outbox import SILENT, list_outbox
from tickets.queue import list_tickets
from tickets.service import Desk
from tickets.settings import FindingsSettings, PlatformSettings, PlatformTopic, TicketSettings
from tickets.states import Channel, Decision, State
from tickets.steps.opening import ManualFinding
from tickets.telling import MOST_CONTENTS, MOST_HITS, Opening


@pytest.fixture
def telling(catalogue: Catalogue, bodies: PlainBodies, archive: Archive, platform: Received) -> Desk:
    platform.answer(204)
    findings = FindingsSettings(url=f"http://127.0.0.1:{platform.port}/findings")
    settings = TicketSettings(platform=PlatformSettings(findings=findings))
    return Desk(catalogue, bodies, shipped_calendar(), "os:alice", settings, archive=archive)


def take(desk: Desk, *contents: ContentFinding) -> None:
    prepared = prepare(desk.bodies, contents, now=NOW, opening=Opening.of(desk.settings))
    with desk.catalogue.write() as connection:
        open_or_extend(connection, prepared)


def told(platform: Received) -> list[dict[str, object]]:
    """Every finding that came in, its message's signature checked."""
    found = []
    for path, headers, body in platform.requests:
        assert path == "/findings"
        assert verify(SECRET, headers, body, now=time.time()) == headers["idempotency-key"]
        message = json.loads(body)
        assert message["type"] == "findings"
        found += message["findings"]
    return found


def test_a_finding_is_told_with_its_ticket_and_nothing_of_its_text(telling: Desk, platform: Received) -> None:
    take(telling, CONTENT, replace(CONTENT, content_id="c2", user_id=None))
    assert step(telling).sent == 1
    first, second = told(platform)
    with telling.catalogue.read() as connection:
        tickets = {ticket.content_id: ticket for ticket in list_tickets(connection)}
    assert (first["ticket"], first["state"]) == (tickets["c1"].ticket_id, "detected")
    assert (first["content_id"], first["account"], first["category"]) == ("c1", "u1", "gambling")
    assert (second["content_id"], second["account"]) == ("c2", None)
    assert first["hits"] == [
        {
            **{name: getattr(HIT, name) for name in ("rule", "category", "subtype", "severity", "start", "end")},
            "score": 0.9,
            "version": "pack-1",
            "partition": "/p#1",
            "offset": 10,
            "field": "text",
        }
    ]
    assert "free" not in platform.requests[0][2].decode()
    assert step(telling).sent == 0
    with telling.catalogue.read() as connection:
        (entry,) = list_outbox(connection)
    assert entry.state == "sent"


def test_what_extends_reopens_or_is_dismissed_at_once_is_told_as_it_stands(telling: Desk, platform: Received) -> None:
    take(telling, CONTENT)
    with telling.catalogue.read() as connection:
        number = list_tickets(connection)[0].ticket_id
    telling.dismiss(number, "无害")
    take(telling, replace(CONTENT, content_id="c2"))
    take(telling, replace(CONTENT, offset=11, findings=(replace(HIT, rule="gambling.002"),)))
    telling.confirm(number, Decision.ILLEGAL, "定性")
    take(telling, replace(CONTENT, offset=12))
    assert step(telling).sent == 4
    assert [(f["content_id"], f["state"]) for f in told(platform)] == [
        ("c1", State.DETECTED),
        ("c2", State.DISMISSED),
        ("c1", State.DETECTED),
        ("c1", State.CONFIRMED),
    ]
    assert [f["hits"][0]["offset"] for f in told(platform)] == [10, 10, 11, 12]


def test_complaints_are_told_too(telling: Desk, platform: Received) -> None:
    ticket = telling.open_manual(ManualFinding(Channel.COMPLAINT, "fraud", "有人举报这条内容", content_id="m"))
    assert step(telling).sent == 1
    (found,) = told(platform)
    assert (found["ticket"], found["channel"], found["content_id"]) == (ticket.ticket_id, "complaint", "m")


def test_nothing_is_written_where_nobody_listens(desk: Desk) -> None:
    take(desk, CONTENT)
    with desk.catalogue.read() as connection:
        assert list_outbox(connection) == []


def test_what_is_not_committed_is_not_told(telling: Desk) -> None:
    prepared = prepare(telling.bodies, [CONTENT], now=NOW, opening=Opening.of(telling.settings))
    with pytest.raises(LiucunError), telling.catalogue.write() as connection:
        open_or_extend(connection, prepared)
        raise LiucunError("cut off", cure="-")
    with telling.catalogue.read() as connection:
        assert list_outbox(connection) == []


def test_a_batch_full_of_findings_goes_out_in_parts_and_bounded(telling: Desk, platform: Received) -> None:
    many = tuple(replace(HIT, start=n, end=n + 1) for n in range(MOST_HITS + 7))
    contents = [replace(CONTENT, content_id=f"c{n}", text=f"文{n}") for n in range(MOST_CONTENTS)]
    take(telling, *contents, replace(CONTENT, content_id="last", findings=many))
    assert step(telling).sent == 2
    found = told(platform)
    assert len(found) == MOST_CONTENTS + 1
    last = next(f for f in found if f["content_id"] == "last")
    assert (len(last["hits"]), last["hits_in_all"]) == (MOST_HITS, MOST_HITS + 7)


def test_a_message_sent_keeps_no_body(telling: Desk) -> None:
    from tickets.tables_sending import outbox

    take(telling, CONTENT)
    step(telling)
    with telling.catalogue.read() as connection:
        assert [row.body for row in connection.execute(outbox.select())] == [b""]


def test_orders_come_first_and_a_silent_channel_is_left_alone(telling: Desk, platform: Received) -> None:
    for n in range(SILENT + 5):
        take(telling, replace(CONTENT, content_id=f"c{n}"))
    url = f"http://127.0.0.1:{platform.port}/orders"
    settings = telling.settings.platform.model_copy(update={"url": url})
    desk = replace(telling, settings=TicketSettings(platform=settings))
    with desk.catalogue.write() as connection:
        put(connection, desk.bodies, channel=PLATFORM, subject="s", key="k", body={"order": "D1"})
    platform.answers.clear()
    platform.answer(200, b"taken")
    platform.answer(503)
    done = step(desk)
    assert (done.sent, done.again) == (1, SILENT)
    assert [path for path, _, _ in platform.requests] == ["/orders", *["/findings"] * SILENT]
    platform.answers.clear()
    platform.answer(200)
    platform.requests.clear()
    assert step(desk, now=datetime.now(UTC) + timedelta(minutes=1)).sent == SILENT + 5
    assert len(told(platform)) == SILENT + 5


@pytest.mark.parametrize("url", ["ftp://x", "findings", "javascript:1"])
def test_addresses_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        FindingsSettings(url=url)


@pytest.mark.services
def test_findings_on_a_topic_are_signed_one_a_record(telling: Desk) -> None:
    from confluent_kafka import Consumer

    found = {}
    with servers.topic("findings") as (address, name):
        topic = PlatformTopic(brokers=(address,), topic=name)
        platform = PlatformSettings(findings=FindingsSettings(kafka=topic))
        desk = replace(telling, settings=TicketSettings(platform=platform))
        for first in range(3):
            take(desk, *(replace(CONTENT, content_id=f"c{first}-{n}", text=f"文{first}{n}") for n in range(50)))
        assert step(desk).sent == 3
        consumer = Consumer({"bootstrap.servers": address, "group.id": "t", "auto.offset.reset": "earliest"})
        try:
            consumer.subscribe([name])
            until = time.monotonic() + 60
            while len(found) < 150 and time.monotonic() < until:
                record = consumer.poll(1)
                if record is None or record.error():
                    continue
                headers = {header: value.decode() for header, value in record.headers()}
                key = verify(SECRET, headers, record.value(), now=time.time())
                said = json.loads(record.value())
                assert record.key().decode() == said["ticket"]
                assert said["type"] == "finding"
                assert key not in found
                found[key] = said["content_id"]
        finally:
            consumer.close()
    assert sorted(found.values()) == sorted(f"c{first}-{n}" for first in range(3) for n in range(50))


@pytest.mark.parametrize(
    "given",
    [
        {"brokers": []},
        {"brokers": ["h"]},
        {"brokers": ["h:9092", "h:kafka"]},
        {"topic": ".."},
        {"topic": "two words"},
        {"security": "sasl_tls"},
        {"username": "u"},
        {"security": "tls", "username": "u"},
        {"ca_file": "ca.pem"},
        {"password": "secret"},
    ],
)
def test_a_topic_that_cannot_be_spoken_to_is_refused(given: dict[str, object]) -> None:
    good = {"brokers": ["h:9092"], "topic": "orders"}
    PlatformTopic.model_validate(good)
    PlatformTopic.model_validate({**good, "security": "sasl_tls", "username": "u", "ca_file": "ca.pem"})
    with pytest.raises(ValueError, match=r"validation error"):
        PlatformTopic.model_validate({**good, **given})
