"""Disposal orders to a Kafka topic: written once each by an idempotent producer, acknowledged by every replica."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import KafkaException, Producer

from tickets.delivery.signing import signed_headers
from tickets.errors import DeliveryError, DeliveryRefusedError
from tickets.settings import OrderTopic, PlatformSettings, secret

_PROTOCOLS: Final = {"plaintext": "PLAINTEXT", "tls": "SSL", "sasl_plaintext": "SASL_PLAINTEXT", "sasl_tls": "SASL_SSL"}


def send_to_topic(settings: PlatformSettings, key: str, message: Mapping[str, Any]) -> None:
    """Write an order; the record's key is the ticket's number, its headers are those of the webhook.

    The same idempotency key may come twice: whoever reads carries it out once. The order stays open until the platform
    acknowledges it.

    Raises:
        DeliveryError: no broker took it in time.
        DeliveryRefusedError: the topic is not set up any more, or does not take the message.
        SettingsError: a secret is not set.
    """
    if settings.kafka is None:
        raise DeliveryRefusedError("No topic is set up any more.", cure="Set [tickets.platform.kafka].")
    body = json.dumps(message, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace")
    shared = secret(settings.secret_variable, "The platform's topic")
    headers = signed_headers(shared, settings.algorithm, int(time.time()), key, body)
    failures: list[Any] = []
    try:
        producer = Producer(_config(settings.kafka, settings.timeout_seconds))
        producer.produce(
            settings.kafka.topic,
            value=body,
            key=str(message["ticket"]),
            headers={name: value.encode() for name, value in headers.items()},
            on_delivery=lambda error, _: failures.append(error) if error is not None else None,
        )
        left = producer.flush(settings.timeout_seconds + 1)
    except KafkaException as error:
        raise DeliveryRefusedError(f"The topic does not take orders: {error}.", cure="Check its settings.") from error
    if failures and not failures[0].retriable() and failures[0].name() != "_MSG_TIMED_OUT":
        raise DeliveryRefusedError(f"The topic does not take orders: {failures[0].str()}.", cure="Check its rights.")
    if failures or left:
        why = failures[0].str() if failures else "no answer"
        raise DeliveryError(f"No Kafka broker took the order: {why}.", cure="It is tried again.")


def _config(topic: OrderTopic, timeout: float) -> dict[str, Any]:
    config: dict[str, Any] = {
        "bootstrap.servers": ",".join(topic.brokers),
        "client.id": "liucun-orders",
        "security.protocol": _PROTOCOLS[topic.security],
        "enable.idempotence": True,
        "acks": "all",
        "delivery.timeout.ms": max(int(timeout * 1000), 1_000),
        "linger.ms": 0,
        "log_level": 0,
    }
    if topic.security.startswith("sasl_"):
        config |= {
            "sasl.mechanism": topic.mechanism,
            "sasl.username": topic.username,
            "sasl.password": secret(topic.password_variable, "The platform's topic"),
        }
    if topic.ca_file:
        config["ssl.ca.location"] = topic.ca_file
    return config
