"""Group robots of WeCom 企业微信, DingTalk 钉钉 and Feishu 飞书: the forms that each of them takes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from tickets.errors import DeliveryError, DeliveryRefusedError
from tickets.settings import RobotSettings, secret

_TIMEOUT: Final = 10.0
_BUSY: Final = {"wecom": {-1, 45009}, "dingtalk": {-1, 130101, 130102, 410100}, "feishu": {9499, 11232}}
"""Codes by which a robot says that it is asked too often or is out of order."""
_LONGEST: Final = {"wecom": 4096, "dingtalk": 18_000, "feishu": 18_000}
"""Bytes of UTF-8 that a robot takes."""


def send_to_robot(robot: RobotSettings, title: str, text: str) -> None:
    """Post a message into the group.

    Raises:
        DeliveryError: no answer, or asked too often.
        DeliveryRefusedError: the robot does not know us, or refuses the message.
        SettingsError: address or secret is not set.
    """
    address = secret(robot.url_variable, f"The robot {robot.name!r}")
    shared = secret(robot.secret_variable, f"The robot {robot.name!r}") if robot.secret_variable else None
    url, body = robot_request(robot.kind, address, shared, title, text, now=time.time())
    try:
        answer = httpx.post(url, json=body, timeout=_TIMEOUT, follow_redirects=False, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DeliveryError(
            f"The robot {robot.name!r} does not answer: {type(error).__name__}.", cure="It is tried again."
        ) from error
    if answer.status_code == 429 or answer.status_code >= 500:
        raise DeliveryError(f"The robot {robot.name!r} answered {answer.status_code}.", cure="It is tried again.")
    code = _code(answer)
    if code in _BUSY[robot.kind]:
        raise DeliveryError(f"The robot {robot.name!r} is asked too often ({code}).", cure="It is tried again.")
    if not answer.is_success or code != 0:
        raise DeliveryRefusedError(
            f"The robot {robot.name!r} refused the message (HTTP {answer.status_code}, code {code}).",
            cure="Check its address, its secret and its security settings.",
        )


def robot_request(
    kind: str, address: str, shared: str | None, title: str, text: str, *, now: float
) -> tuple[str, dict[str, Any]]:
    """The URL and the JSON body of a message; ``now`` in Unix seconds.

    DingTalk signs in the URL (milliseconds, HMAC-SHA256 keyed with the secret over time, line break, secret), Feishu in
    the body (seconds, HMAC-SHA256 keyed with time, line break, secret over nothing); WeCom's key is its address.
    """
    cut = _cut(text, _LONGEST[kind] - len(title.encode()) - 8)
    if kind == "wecom":
        return address, {"msgtype": "markdown", "markdown": {"content": f"**{title}**\n{cut}"}}
    if kind == "dingtalk":
        lines = cut.replace("\n", "\n\n")
        body = {"msgtype": "markdown", "markdown": {"title": title, "text": f"#### {title}\n\n{lines}"}}
        if shared is None:
            return address, body
        stamp = str(int(now * 1000))
        signature = _sha256(shared.encode(), f"{stamp}\n{shared}".encode())
        mark = "&" if "?" in address else "?"
        return f"{address}{mark}{urlencode({'timestamp': stamp, 'sign': signature})}", body
    body = {"msg_type": "text", "content": {"text": f"{title}\n{cut}"}}
    if shared is not None:
        stamp = str(int(now))
        body |= {"timestamp": stamp, "sign": _sha256(f"{stamp}\n{shared}".encode(), b"")}
    return address, body


def _sha256(key: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def _cut(text: str, size: int) -> str:
    data = text.encode("utf-8", "replace")
    return text if len(data) <= size else data[: size - 3].decode("utf-8", "ignore") + "…"


def _code(answer: httpx.Response) -> int | None:
    try:
        said = answer.json()
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    code = next((said[name] for name in ("errcode", "code", "StatusCode") if name in said), None)
    return code if isinstance(code, int) else None
