"""Orders to the platform on a Kafka topic: signed, tried again without a broker, refused when no other way is left."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from tests.services import servers
from tests.tickets.receivers import Received
from tests.tickets.sending import SECRET, again, disposed, orders_of, step
from tickets.delivery.signing import verify
from tickets.outbox import list_outbox
from tickets.service import Desk
from tickets.settings import PlatformSettings, PlatformTopic, TicketSettings
from tickets.states import Part

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
