"""Robots of group chats (WeCom, DingTalk, Feishu): the form that each takes, and what its answer means."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import parse_qs, urlsplit

import pytest

from errors import SettingsError
from tests.tickets.receivers import http_receiver
from tests.tickets.sending import SECRET
from tickets.delivery.robots import robot_request, send_to_robot
from tickets.errors import DeliveryError, DeliveryRefusedError
from tickets.settings import RobotSettings


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
