"""What brokers that do not serve this client mean by it, in the classes of the one error tree.

The client library tells a certificate that the brokers refuse as a connection that broke, with the TLS alert in its
words only.
"""

from __future__ import annotations

import re
from typing import Final

from confluent_kafka import KafkaError

from errors import LiucunError, NotPermittedError, UnreachableError

_REFUSED: Final = {
    KafkaError._AUTHENTICATION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
}
_ALERT: Final = re.compile(r"SSL alert number (\d+)")
_CERTIFICATE_ALERTS: Final = frozenset({"41", "42", "43", "44", "45", "46", "48", "49", "116"})
"""no_certificate (SSL 3), bad_certificate, unsupported_, certificate_revoked, _expired, _unknown, unknown_ca,
access_denied, certificate_required (RFC 8446, section 6.2)."""
_UNTRUSTED: Final = "certificate verify failed"


def refuses(error: KafkaError) -> bool:
    """Whether the brokers refuse this client: its account, its rights or its certificate."""
    return error.code() in _REFUSED or _refuses_certificate(error)


def refused(error: KafkaError, topic: str) -> NotPermittedError:
    """The brokers' refusal in this program's words."""
    if _refuses_certificate(error):
        return NotPermittedError(
            f"The Kafka brokers refuse this client's certificate, or it gave none: {error.str()}.",
            cure="Name in [source.kafka] a certificate_file and key_file that the brokers' authority signed.",
        )
    return NotPermittedError(
        f"The Kafka brokers refuse to let this client read {topic}: {error.str()}.",
        cure="Check username, password and certificate in [source.kafka], and the right to READ and DESCRIBE it.",
    )


def silent(error: KafkaError | None, source: str) -> LiucunError:
    """That no broker answers, and why as far as the client has heard."""
    said = f": {error.str()}" if error is not None else ""
    if _UNTRUSTED in said:
        return UnreachableError(
            f"The certificate of the Kafka brokers of source {source!r} is not trusted{said}.",
            cure="Name their authority's certificate as [source.kafka] ca_file, and the brokers as it names them.",
        )
    return UnreachableError(
        f"The Kafka brokers of source {source!r} do not answer{said}.",
        cure="Check `brokers`, the network and the TLS settings; the next run goes on where this one ended.",
    )


def _refuses_certificate(error: KafkaError) -> bool:
    alert = _ALERT.search(error.str())
    return alert is not None and alert[1] in _CERTIFICATE_ALERTS
