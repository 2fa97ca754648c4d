"""Orders and findings to Kafka topics: by an idempotent producer, acknowledged by every replica."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from confluent_kafka import KafkaException, Producer

from retention.tls_files import check_authorities, check_identity
from tickets.delivery.signing import signed_headers
from tickets.errors import DeliveryError, DeliveryRefusedError
from tickets.settings import PlatformSettings, PlatformTopic, secret

_PROTOCOLS: Final = {"plaintext": "PLAINTEXT", "tls": "SSL", "sasl_plaintext": "SASL_PLAINTEXT", "sasl_tls": "SASL_SSL"}

_SECTION: Final = "[tickets.platform] kafka"


class Topics:
    """Producers, kept while messages are delivered: to connect costs more than to write."""

    def __init__(self, settings: PlatformSettings) -> None:
        self._settings = settings
        self._producers: dict[PlatformTopic, Producer] = {}

    def send(self, topic: PlatformTopic, messages: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Write messages of (idempotency key, body); a record's key is its ticket, its headers are the webhook's.

        The same idempotency key may come twice: whoever reads takes it once. Of several messages some may have been
        written when others failed.

        Raises:
            DeliveryError: no broker took them in time.
            DeliveryRefusedError: the topic does not take them.
            SettingsError: a secret is not set, or a certificate or key cannot be used (``retention.tls_files``).
        """
        shared = secret(self._settings.secret_variable, "The platform's topic")
        timeout = self._settings.timeout_seconds
        failures: list[Any] = []
        try:
            producer = self._producer(topic, timeout)
            for key, message in messages:
                body = json.dumps(message, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace")
                headers = signed_headers(shared, self._settings.algorithm, int(time.time()), key, body)
                producer.produce(
                    topic.topic,
                    value=body,
                    key=str(message["ticket"]),
                    headers={name: value.encode() for name, value in headers.items()},
                    on_delivery=lambda error, _: failures.append(error) if error is not None else None,
                )
            left = producer.flush(timeout + 1)
        except BufferError as error:
            self._drop(topic)
            raise DeliveryError("The topic takes no more at once.", cure="It is tried again.") from error
        except KafkaException as error:
            self._drop(topic)
            raise DeliveryRefusedError(f"The topic takes no messages: {error}.", cure="Check its settings.") from error
        if not failures and not left:
            return
        missing = _is_missing(producer, topic.topic)
        # What is still in the producer's hand must not be written by it later.
        self._drop(topic)
        if missing:
            raise DeliveryError(f"There is no topic {topic.topic!r}.", cure="Create it; the message is tried again.")
        final = next((e for e in failures if not e.retriable() and e.name() not in _LATER), None)
        if final is not None:
            raise DeliveryRefusedError(f"The topic takes no messages: {final.str()}.", cure="Check its rights.")
        why = failures[0].str() if failures else "no answer"
        raise DeliveryError(f"No Kafka broker took the message: {why}.", cure="It is tried again.")

    def _producer(self, topic: PlatformTopic, timeout: float) -> Producer:
        if topic not in self._producers:
            self._producers[topic] = Producer(_config(topic, timeout))
        return self._producers[topic]

    def _drop(self, topic: PlatformTopic) -> None:
        producer = self._producers.pop(topic, None)
        if producer is not None:
            producer.purge()
            producer.flush(1)

    def close(self) -> None:
        """Let go of the brokers."""
        for topic in list(self._producers):
            self._drop(topic)


_LATER: Final = frozenset({"_MSG_TIMED_OUT", "_PURGE_QUEUE", "_PURGE_INFLIGHT"})


def _is_missing(producer: Producer, name: str) -> bool:
    """Whether the brokers answer, and know no such topic."""
    try:
        found = producer.list_topics(name, timeout=2).topics[name].error
    except (KafkaException, KeyError):
        return False
    return found is not None and found.name() == "UNKNOWN_TOPIC_OR_PART"


def _config(topic: PlatformTopic, timeout: float) -> dict[str, Any]:
    config: dict[str, Any] = {
        "bootstrap.servers": ",".join(topic.brokers),
        "client.id": "liucun-platform",
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
        check_authorities(topic.ca_file, f"{_SECTION} ca_file")
        config["ssl.ca.location"] = topic.ca_file
    if topic.key_file:
        password = None
        if topic.key_password_variable:
            password = secret(topic.key_password_variable, "The key of the platform's topic")
            config["ssl.key.password"] = password
        check_identity(topic.certificate_file, topic.key_file, password, _SECTION)
        config |= {"ssl.certificate.location": topic.certificate_file, "ssl.key.location": topic.key_file}
    return config
