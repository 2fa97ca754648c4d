# ruff: noqa: E501
"""Access logs and syslog."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pipelines.decode.reasons import Reason
from tests.pipelines.decode.helpers import decode, filled, reasons

WHEN = datetime(2015, 5, 17, 10, 5, 3, tzinfo=UTC)
HEAD = '1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /a?b=c HTTP/1.1" 200 12'
BASE = {
    "source_ip": "1.2.3.4", "event_time": WHEN, "http_request_method": "GET", "url_original": "/a?b=c",
    "http_version": "1.1", "http_response_status_code": 200, "http_response_body_bytes": 12,
}  # fmt: skip


def changed(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in (BASE | values).items() if value is not None}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (HEAD, BASE),
        (HEAD + ' "http://e.cn/" "Agent"', changed(http_request_referrer="http://e.cn/", user_agent_original="Agent")),
        (HEAD + ' "-" "A \\"q\\" \\\\ \\x41"', changed(user_agent_original='A "q" \\ \\x41')),
        (HEAD + ' "-" "cut (compatible; bo', changed(user_agent_original="cut (compatible; bo")),
        (HEAD + ' "-" "-" 0.004 "x"', changed(extra={"rest": '0.004 "x"'})),
        (HEAD.replace("1.2.3.4 - -", "::1 id bob smith"), changed(source_ip="::1", user_name="bob smith", extra={"ident": "id"})),
        (HEAD.replace("1.2.3.4", "gate.e.cn"), changed(source_ip=None, extra={"source.address": "gate.e.cn"})),
        (HEAD.replace("200 12", "- -"), changed(http_response_status_code=None, http_response_body_bytes=None)),
        (HEAD.replace("GET /a?b=c HTTP/1.1", "\\x16\\x03"), changed(http_request_method=None, url_original=None, http_version=None, extra={"request": "\\x16\\x03"})),
        (HEAD.replace("/a?b=c", "/a b"), changed(url_original="/a b")),
        (HEAD.replace("GET /a?b=c HTTP/1.1", "-"), changed(http_request_method=None, url_original=None, http_version=None)),
    ],
)  # fmt: skip
def test_combined(line: str, expected: dict[str, Any]) -> None:
    assert filled(decode("combined", line.encode() + b"\r\n")) == [expected]


@pytest.mark.parametrize(
    "line",
    [
        "hello",
        '1.2.3.4 - - "GET / HTTP/1.1" 200 1',
        HEAD + "x",
        HEAD[:-3],
        '1.2.3.4 - - [x] "GET /',
        "1.2.3.4",
        "[",
        '" " [" "',
    ],
)
def test_not_combined(line: str) -> None:
    assert reasons(decode("combined", line.encode())) == [Reason.NOT_COMBINED]


def test_combined_with_an_unreadable_time() -> None:
    assert reasons(decode("combined", HEAD.replace("May", "Mai").encode())) == [Reason.UNREADABLE_TIME]


def test_combined_follows_the_mapping() -> None:
    row = filled(decode("combined", HEAD.replace("- - [", "- bob [").encode(), mapping={"user_id": "user_name"}))[0]
    assert row["user_id"] == "bob"
    assert "user_name" not in row


STAMP = {"event_time": datetime(2025, 10, 11, 14, 14, 15, tzinfo=UTC), "flags": "zone_assumed,year_assumed"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("<34>Oct 11 22:14:15 mymachine su: 'su root' failed", STAMP | {"log_syslog_priority": 34, "host_name": "mymachine", "process_name": "su", "message": "'su root' failed"}),
        ("Oct 11 22:14:15 h sshd[24200]: hi", STAMP | {"host_name": "h", "process_name": "sshd", "process_pid": 24200, "message": "hi"}),
        ("Oct 11 22:14:15 h last message repeated 3 times", STAMP | {"host_name": "h", "message": "last message repeated 3 times"}),
        ("Oct 11 22:14:15 h see http://x.cn", STAMP | {"host_name": "h", "message": "see http://x.cn"}),
        ("Oct 11 22:14:15 cron[7]: no host", STAMP | {"process_name": "cron", "process_pid": 7, "message": "no host"}),
        ("Oct 11 22:14:15", STAMP),
        ("2025-10-11T22:14:15.5+08:00 h app[a1]: x", {"event_time": datetime(2025, 10, 11, 14, 14, 15, 500000, tzinfo=UTC), "host_name": "h", "process_name": "app", "message": "x", "extra": {"process_pid": "a1"}, "flags": "value_kept_as_text"}),
        ("2025-10-11 22:14:15 h app: x", {"event_time": datetime(2025, 10, 11, 14, 14, 15, tzinfo=UTC), "host_name": "h", "process_name": "app", "message": "x", "flags": "zone_assumed"}),
        # RFC 5424, section 6.5, examples 1, 2 and 3
        ("<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \ufeff'su root' failed for lonvick on /dev/pts/8", {"log_syslog_priority": 34, "event_time": datetime(2003, 10, 11, 22, 14, 15, 3000, tzinfo=UTC), "host_name": "mymachine.example.com", "process_name": "su", "message": "'su root' failed for lonvick on /dev/pts/8", "extra": {"msgid": "ID47"}}),
        ("<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.", {"log_syslog_priority": 165, "event_time": datetime(2003, 8, 24, 12, 14, 15, 3, tzinfo=UTC), "host_name": "192.0.2.1", "process_name": "myproc", "process_pid": 8710, "message": "%% It's time to make the do-nuts."}),
        ('<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"] \ufeffAn application event log entry...', {"log_syslog_priority": 165, "event_time": datetime(2003, 10, 11, 22, 14, 15, 3000, tzinfo=UTC), "host_name": "mymachine.example.com", "process_name": "evntslog", "message": "An application event log entry...", "extra": {"msgid": "ID47", "exampleSDID@32473.iut": "3", "exampleSDID@32473.eventSource": "Application", "exampleSDID@32473.eventID": "1011"}}),
        ('<0>1 - - - - - [a x="1" x="2"][b y="\\"\\\\\\]"][c]', {"log_syslog_priority": 0, "flags": "time_missing", "extra": {"a.x": "1", "a.x#2": "2", "b.y": '"\\]', "c": ""}}),
    ],
)  # fmt: skip
def test_syslog(line: str, expected: dict[str, Any]) -> None:
    assert filled(decode("syslog", line.encode())) == [expected]


@pytest.mark.parametrize(
    "line",
    ["hello", "<192>Oct 11 22:14:15 h a: b", "<>x", "<1", "<34>", "<34>1 ", "<34>1 - - - - -", '<1>1 - - - - - [a x="1]', "<1>1 - - - - - [] m",
     "<1>1 - - - - - x m", "<1>1 - - - - - [a=1] m", "Oct", "12 Oct 2025 10:00:00 h a: b", "<1>1 - - - - - [" + "x" * 65 + "]"],
)  # fmt: skip
def test_not_syslog(line: str) -> None:
    assert reasons(decode("syslog", line.encode())) == [Reason.NOT_SYSLOG]


def test_much_structured_data_grows_the_buffers() -> None:
    line = "<1>1 - - - - - [" + "i" * 60 + "".join(f' p{i}="v{i}"' for i in range(5_000)) + "] m\n"
    rows = filled(decode("syslog", (line * 2).encode()))
    assert [len(row["extra"]) for row in rows] == [5_000, 5_000]
    assert rows[1]["extra"]["i" * 60 + ".p4999"] == "v4999"
