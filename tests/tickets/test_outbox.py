"""The outbox against real receivers: signed, retried, idempotent; what the platform answers reaches the ticket."""

from __future__ import annotations

import base64
import email
import hashlib
import hmac
import json
import socket
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from errors import SettingsError
from retention.catalogue.engine import Catalogue
from retention.segments import Archive
from tests.services import servers
from tests.tickets.conftest import PlainBodies
from tests.tickets.findings import CONTENT, take
from tests.tickets.receivers import Mailbox, Received, http_receiver, smtp_receiver
from tickets.calendar.reading import shipped_calendar
from tickets.delivery.robots import robot_request, send_to_robot
from tickets.delivery.signing import sign, verify
from tickets.errors import DeliveryError, DeliveryRefusedError, SignatureError
from tickets.messages import put
from tickets.notices import notify
from tickets.outbox import MAX_ATTEMPTS, deliver, list_outbox, send_again
from tickets.queue import Ticket, get_ticket, list_tickets, ticket_detail
from tickets.service import Desk
from tickets.settings import MailSettings, PlatformSettings, PlatformTopic, RobotSettings, TicketSettings
from tickets.states import Decision, Measure, Part, State
from tickets.tables_sending import orders, outbox

SECRET = "s3cret-shared"


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LIUCUN_PLATFORM_SECRET", SECRET)
    with http_receiver() as received:
        yield received


@pytest.fixture
def ordering(catalogue: Catalogue, bodies: PlainBodies, archive: Archive, platform: Received) -> Desk:
    settings = TicketSettings(platform=PlatformSettings(url=f"http://127.0.0.1:{platform.port}/orders"))
    return Desk(catalogue, bodies, shipped_calendar(), "os:alice", settings, archive=archive)


def disposed(desk: Desk) -> Ticket:
    take(desk.catalogue, desk.bodies, CONTENT)
    with desk.catalogue.read() as connection:
        number = list_tickets(connection)[0].ticket_id
    desk.confirm(number, Decision.ILLEGAL, "r")
    return desk.dispose(number, Measure.DELETE)


def step(desk: Desk, **more: object):
    return deliver(desk.catalogue, desk.bodies, desk.calendar, desk.settings, **more)


def again(desk: Desk, number: str) -> Ticket:
    with desk.catalogue.read() as connection:
        return get_ticket(connection, number)


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


def orders_of(desk: Desk) -> list[str]:
    with desk.catalogue.read() as connection:
        return list(connection.execute(sa.select(orders.c.state)).scalars())


NO_TOPIC = PlatformTopic(brokers=("127.0.0.1:9",), topic="orders", security="tls", ca_file="/nowhere/ca.pem")
"""A topic that takes nothing, for good: its client cannot even be made."""


def test_an_order_that_only_a_topic_carries_is_refused_with_it(ordering: Desk) -> None:
    desk = replace(ordering, settings=TicketSettings(platform=PlatformSettings(kafka=NO_TOPIC)))
    ticket = disposed(desk)
    assert step(desk).failed == 1
    assert orders_of(desk) == ["refused"]
    assert again(desk, ticket.ticket_id).part == Part.DISPOSE


@pytest.mark.parametrize(("answer", "state"), [(202, "waiting"), (503, "waiting"), (400, "refused")])
def test_an_order_is_refused_when_no_way_is_left(ordering: Desk, platform: Received, answer: int, state: str) -> None:
    settings = ordering.settings.platform.model_copy(update={"kafka": NO_TOPIC})
    desk = replace(ordering, settings=TicketSettings(platform=settings))
    disposed(desk)
    platform.answer(answer)
    step(desk)
    assert orders_of(desk) == [state]


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


def test_a_topic_without_a_broker_is_tried_again(ordering: Desk) -> None:
    topic = PlatformTopic(brokers=("127.0.0.1:9",), topic="orders")
    settings = TicketSettings(platform=PlatformSettings(kafka=topic, timeout_seconds=1))
    desk = replace(ordering, settings=settings)
    ticket = disposed(desk)
    assert (ticket.effect, ticket.effective_at) == ("ordered", None)
    assert step(desk).again == 1
    with desk.catalogue.read() as connection:
        assert "No Kafka broker" in str(list_outbox(connection)[0].error)


@pytest.mark.services
def test_an_order_on_a_topic_is_signed(ordering: Desk) -> None:
    from confluent_kafka import Consumer

    with servers.topic("orders") as (address, name):
        topic = PlatformTopic(brokers=(address,), topic=name)
        desk = replace(ordering, settings=TicketSettings(platform=PlatformSettings(kafka=topic)))
        ticket = disposed(desk)
        assert step(desk).sent == 1
        consumer = Consumer({"bootstrap.servers": address, "group.id": "t", "auto.offset.reset": "earliest"})
        try:
            consumer.subscribe([name])
            found = consumer.poll(30)
        finally:
            consumer.close()
    assert found is not None
    assert found.key().decode() == ticket.ticket_id
    headers = {name: value.decode() for name, value in found.headers()}
    assert verify(SECRET, headers, found.value(), now=time.time())
    assert json.loads(found.value())["measure"] == "delete"


@pytest.mark.services
def test_a_topic_that_is_not_there_is_named(ordering: Desk) -> None:
    topic = PlatformTopic(brokers=servers.need("kafka", "LIUCUN_TEST_KAFKA"), topic="nobody-made-this")
    settings = TicketSettings(platform=PlatformSettings(kafka=topic, timeout_seconds=2))
    desk = replace(ordering, settings=settings)
    disposed(desk)
    assert step(desk).again == 1
    with desk.catalogue.read() as connection:
        assert "nobody-made-this" in str(list_outbox(connection)[0].error)


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


@pytest.mark.parametrize("algorithm", ["hmac-sm3", "hmac-sha256"])
def test_signatures_fit_only_what_was_signed(algorithm: str) -> None:
    body, now = b'{"a":1}', 1_800_000_000
    headers = {
        "Liucun-Timestamp": str(now),
        "Idempotency-Key": "k",
        "Liucun-Signature": sign(SECRET, algorithm, now, "k", body),
    }
    assert verify(SECRET, headers, body, now=now + 299) == "k"
    wrong: list[tuple[str, dict[str, str], bytes, float]] = [
        ("other", headers, body, now),
        (SECRET, headers, body + b" ", now),
        (SECRET, {**headers, "Idempotency-Key": "k2"}, body, now),
        (SECRET, {**headers, "Liucun-Timestamp": str(now + 1)}, body, now),
        (SECRET, {**headers, "Liucun-Timestamp": "١٢"}, body, now),
        (SECRET, {**headers, "Liucun-Signature": "md5=x"}, body, now),
        (SECRET, {**headers, "Liucun-Signature": algorithm + "=é"}, body, now),
        (SECRET, {}, body, now),
        (SECRET, headers, body, now + 301),
    ]
    for secret, given, content, at in wrong:
        with pytest.raises(SignatureError):
            verify(secret, given, content, now=at)


def test_the_sm3_signature_is_the_standard_s() -> None:
    # HMAC as in RFC 2104 over SM3 (GB/T 32905), computed by hand from its definition.
    key, message = SECRET.encode(), b"7.k.body"
    pad = key.ljust(64, b"\0")
    inner = hashlib.new("sm3", bytes(b ^ 0x36 for b in pad) + message).digest()
    outer = hashlib.new("sm3", bytes(b ^ 0x5C for b in pad) + inner).hexdigest()
    assert sign(SECRET, "hmac-sm3", 7, "k", b"body") == f"hmac-sm3={outer}"


def test_robots_take_their_own_forms() -> None:
    url, body = robot_request("wecom", "http://r/send?key=1", None, "标题", "一\n二", now=1.5)
    assert (url, body["msgtype"]) == ("http://r/send?key=1", "markdown")
    url, body = robot_request("dingtalk", "http://r/send?access_token=1", SECRET, "标题", "文", now=1700000000.123)
    query = parse_qs(urlsplit(url).query)
    assert query["timestamp"] == ["1700000000123"]
    expected = hmac.new(SECRET.encode(), f"1700000000123\n{SECRET}".encode(), hashlib.sha256).digest()
    assert base64.b64decode(query["sign"][0]) == expected
    assert body["markdown"]["title"] == "标题"
    _, body = robot_request("feishu", "http://r", SECRET, "标题", "文", now=1700000000.9)
    expected = hmac.new(f"1700000000\n{SECRET}".encode(), b"", hashlib.sha256).digest()
    assert (body["timestamp"], base64.b64decode(body["sign"])) == ("1700000000", expected)
    _, body = robot_request("wecom", "http://r", None, "t", "长" * 5000, now=0)
    assert len(body["markdown"]["content"].encode()) <= 4096


@pytest.mark.parametrize(
    ("kind", "status", "answer", "error"),
    [
        ("wecom", 200, {"errcode": 0}, None),
        ("wecom", 200, {"errcode": 45009}, DeliveryError),
        ("wecom", 200, {"errcode": 93000}, DeliveryRefusedError),
        ("dingtalk", 200, {"errcode": 310000}, DeliveryRefusedError),
        ("dingtalk", 200, {"errcode": 130101}, DeliveryError),
        ("feishu", 200, {"code": 0}, None),
        ("feishu", 200, {"code": 19021}, DeliveryRefusedError),
        ("feishu", 502, b"", DeliveryError),
        ("feishu", 200, b"<html>", DeliveryRefusedError),
    ],
)
def test_what_a_robot_answers_decides(
    monkeypatch: pytest.MonkeyPatch, kind: str, status: int, answer: object, error: type[Exception] | None
) -> None:
    with http_receiver() as received:
        monkeypatch.setenv("ROBOT_URL", f"http://127.0.0.1:{received.port}/r")
        received.answer(status, answer)
        robot = RobotSettings(name="group", kind=kind, url_variable="ROBOT_URL")
        if error is None:
            send_to_robot(robot, "t", "x")
        else:
            with pytest.raises(error):
                send_to_robot(robot, "t", "x")


def test_a_robot_without_an_address_says_which_variable() -> None:
    with pytest.raises(SettingsError, match="NO_SUCH_ROBOT"):
        send_to_robot(RobotSettings(name="g", kind="wecom", url_variable="NO_SUCH_ROBOT"), "t", "x")


@pytest.fixture
def mailbox():
    with smtp_receiver() as box:
        yield box


def mailing(desk: Desk, box: Mailbox) -> Desk:
    mail = MailSettings(
        host="127.0.0.1",
        port=box.port,
        security="none",
        recipients=("duty@example.cn",),
        escalation=("head@example.cn",),
    )
    return replace(desk, settings=TicketSettings(mail=mail))


def test_notices_reach_the_mailbox_in_chinese(desk: Desk, mailbox: Mailbox) -> None:
    sending = mailing(desk, mailbox)
    with desk.catalogue.write() as connection:
        for escalate in (False, True):
            notify(
                connection,
                desk.bodies,
                sending.settings,
                key=f"k{escalate}",
                subject="clock",
                title="三件超时\nBcc: evil@example.cn",
                lines=[f"T{n}" for n in range(30)],
                escalate=escalate,
            )
    assert step(sending).sent == 2
    (first, _), (second, data) = mailbox.mails[0], mailbox.mails[1]
    assert len(first) == 1
    assert len(second) == 2, "an escalation goes to the head too"
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert "三件超时 Bcc: evil@example.cn" in message["Subject"]
    assert message["Bcc"] is None
    assert "另有 10 条" in message.get_content()


@pytest.mark.parametrize(("answer", "outcome"), [(b"451 later", "again"), (b"550 no", "failed")])
def test_a_mail_server_s_refusals_decide(desk: Desk, mailbox: Mailbox, answer: bytes, outcome: str) -> None:
    sending = mailing(desk, mailbox)
    with desk.catalogue.write() as connection:
        notify(connection, desk.bodies, sending.settings, key="k", subject="s", title="t", lines=["l"])
    mailbox.refuse = answer
    assert getattr(step(sending), outcome) == 1


def test_one_message_that_fails_does_not_stop_the_next(desk: Desk, mailbox: Mailbox) -> None:
    sending = mailing(desk, mailbox)
    with desk.catalogue.write() as connection:
        put(connection, desk.bodies, channel="robot:gone", subject="s", key="1", body={"title": "t", "text": "x"})
        notify(connection, desk.bodies, sending.settings, key="2", subject="s", title="t", lines=["l"])
    found = step(sending)
    assert (found.sent, found.failed) == (1, 1)
