"""Orders to the platform on a Kafka topic: signed, tried again without a broker, refused when no other way is left."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.certificates import DAY, Authority
from tests.services import servers
from tests.tickets.receivers import Received
from tests.tickets.sending import SECRET, again, disposed, orders_of, step
from tickets.delivery import kafka as delivery
from tickets.delivery.signing import verify
from tickets.outbox import list_outbox
from tickets.service import Desk
from tickets.settings import PlatformSettings, PlatformTopic, TicketSettings
from tickets.states import Part

NO_TOPIC = PlatformTopic(brokers=("127.0.0.1:9",), topic="orders", security="tls", ca_file="/nowhere/ca.pem")
"""A topic that takes nothing, for good: its client cannot even be made."""


@pytest.fixture
def unlooked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files go to the client as they are, which then refuses for good."""
    monkeypatch.setattr(delivery, "check_authorities", lambda *_: None)


def on(desk: Desk, seconds: float = 3, **given: object) -> Desk:
    """The desk whose orders go to a topic of these settings."""
    topic = PlatformTopic.model_validate({"brokers": ("127.0.0.1:9",), "topic": "orders", **given})
    return replace(desk, settings=TicketSettings(platform=PlatformSettings(kafka=topic, timeout_seconds=seconds)))


@pytest.mark.parametrize(
    "given",
    [
        {"certificate_file": "c", "key_file": "k"},
        {"security": "tls", "certificate_file": "c"},
        {"security": "tls", "key_file": "k"},
        {"security": "tls", "key_password_variable": "A"},
        {"ca_file": "c"},
    ],
)
def test_settings_that_do_not_fit_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        PlatformTopic.model_validate({"brokers": ("h:1",), "topic": "orders", **given})


def test_files_that_cannot_be_used_are_said_and_the_order_tried_again(ordering: Desk, tmp_path: Path) -> None:
    old = Authority.made(tmp_path).issue("old", valid=-DAY)
    desk = on(ordering, security="tls", certificate_file=str(old.certificate), key_file=str(old.key))
    disposed(desk)
    assert step(desk).again == 1
    with desk.catalogue.read() as connection:
        assert "expired on" in str(list_outbox(connection)[0].error)


@pytest.mark.services
def test_an_order_goes_to_brokers_that_ask_for_a_certificate(
    ordering: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ("MUTUAL", "CA", "CLIENT_CA", "CLIENT_CA_KEY")
    address, vouches, *signer = servers.need("kafka", *(f"LIUCUN_TEST_KAFKA_{name}" for name in found))
    sealed = Authority.of(tmp_path, *map(Path, signer)).issue("liucun", password="of the key")
    monkeypatch.setenv("KEY_PASSWORD_OF_TESTS", "of the key")
    with servers.topic("orders") as (_, name):
        reached = {"brokers": (address,), "topic": name, "security": "tls", "ca_file": vouches}
        desk = on(ordering, **reached)
        disposed(desk)
        assert step(desk).again == 1, "without a certificate"
        files = {"certificate_file": str(sealed.certificate), "key_file": str(sealed.key)}
        desk = on(ordering, 60, **reached, **files, key_password_variable="KEY_PASSWORD_OF_TESTS")
        later = datetime.now(UTC) + timedelta(hours=2)
        sent = step(desk, now=later).sent
        with desk.catalogue.read() as connection:
            assert sent == 1, list_outbox(connection)[0].error


@pytest.mark.usefixtures("unlooked")
def test_an_order_that_only_a_topic_carries_is_refused_with_it(ordering: Desk) -> None:
    desk = replace(ordering, settings=TicketSettings(platform=PlatformSettings(kafka=NO_TOPIC)))
    ticket = disposed(desk)
    assert step(desk).failed == 1
    assert orders_of(desk) == ["refused"]
    assert again(desk, ticket.ticket_id).part == Part.DISPOSE


@pytest.mark.usefixtures("unlooked")
@pytest.mark.parametrize(("answer", "state"), [(202, "waiting"), (503, "waiting"), (400, "refused")])
def test_an_order_is_refused_when_no_way_is_left(ordering: Desk, platform: Received, answer: int, state: str) -> None:
    settings = ordering.settings.platform.model_copy(update={"kafka": NO_TOPIC})
    desk = replace(ordering, settings=TicketSettings(platform=settings))
    disposed(desk)
    platform.answer(answer)
    step(desk)
    assert orders_of(desk) == [state]


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
