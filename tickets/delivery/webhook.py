"""The platform's webhooks: a signed POST for each message; the answer may acknowledge a disposal order at once."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx

from errors import UsageError
from tickets.clocks import given_time
from tickets.delivery.signing import signed_headers
from tickets.errors import DeliveryError, DeliveryRefusedError
from tickets.settings import PlatformSettings, secret

_LATER: Final = frozenset({408, 425, 429})
_MAX_ANSWER: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class PlatformAnswer:
    """What the platform said: whether the measure is in effect already, from when, and its own reference."""

    acknowledged: bool
    effective_at: datetime | None
    reference: str


def send_to_platform(settings: PlatformSettings, url: str, key: str, message: Mapping[str, Any]) -> PlatformAnswer:
    """Send an order, or findings, to ``url``. The same ``key`` may come twice: the platform must take it once.

    An answer 2xx takes it; a JSON body ``{"acknowledged": true, "effective_at": ISO time, "reference": …}`` says that
    it is carried out, anything else that this will be said later.

    Raises:
        DeliveryError: no answer, or one that invites another try (408, 425, 429, 5xx).
        DeliveryRefusedError: any other answer.
        SettingsError: the secret is not set.
    """
    body = json.dumps(message, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace")
    shared = secret(settings.secret_variable, "The platform's webhook")
    headers = signed_headers(shared, settings.algorithm, int(time.time()), key, body)
    try:
        with (
            httpx.Client(timeout=settings.timeout_seconds, follow_redirects=False, trust_env=False) as client,
            client.stream("POST", url, content=body, headers={**headers, "Content-Type": "application/json"}) as answer,
        ):
            content = _read(answer)
    except httpx.InvalidURL as error:
        raise DeliveryRefusedError(
            f"The platform's address is no URL: {error}.", cure="Correct [tickets.platform]."
        ) from error
    except httpx.HTTPError as error:
        raise DeliveryError(
            f"The platform does not answer: {type(error).__name__}.",
            cure="It is tried again; check [tickets.platform].",
        ) from error
    if answer.status_code in _LATER or answer.status_code >= 500:
        raise DeliveryError(f"The platform answered {answer.status_code}.", cure="It is tried again.")
    if not answer.is_success:
        raise DeliveryRefusedError(
            f"The platform refused the message with {answer.status_code}.", cure="Look at the platform's log."
        )
    return _answer(content)


def _read(answer: httpx.Response) -> bytes:
    content = b""
    for part in answer.iter_bytes():
        content += part
        if len(content) > _MAX_ANSWER:
            return b""
    return content


def _answer(content: bytes) -> PlatformAnswer:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return PlatformAnswer(False, None, "")
    if not isinstance(said, dict) or said.get("acknowledged") is not True:
        return PlatformAnswer(False, None, "")
    reference = said.get("reference")
    effective: datetime | None = None
    if isinstance(said.get("effective_at"), str):
        # A time without zone could be hours off, and year 1 is how some programs write none: the answer's own counts.
        with contextlib.suppress(ValueError, UsageError):
            effective = given_time(datetime.fromisoformat(said["effective_at"]))
    return PlatformAnswer(True, effective, reference[:200] if isinstance(reference, str) else "")
