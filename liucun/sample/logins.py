"""What accounts did: ndjson of class ``user_log`` with nested ECS names, as shippers send it."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liucun.sample.fields import Block, addresses, hexadecimal, iso, joined, moments, named, ports
from liucun.sample.orders import BUYERS

_ACTIONS: Final = ("user.login", "user.logout", "user.search", "user.register", "user.password_change")
_OFTEN: Final = (60, 18, 15, 5, 2)
_REGISTER: Final = 3
AGENTS: Final = (
    "Mozilla/5.0 (Linux; Android 14; V2301A) AppleWebKit/537.36 Chrome/124.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/125.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15",
)
_MODELS: Final = ("V2301A", "iPhone15,2", "PC", "Mac15,3")


def logins(block: Block) -> pa.StringArray:
    """``block.rows`` events, in order of time: log-ins, log-outs, searches, registrations, changes of passwords."""
    rows = block.rows
    draws = block.draws("logins")
    times = iso(moments(draws, block, rows))
    action = draws.weighted(_OFTEN, rows)
    user = draws.skewed(BUYERS, rows)
    away = (draws.below(10, rows) == 0) * draws.below(1 << 17, rows)
    address = addresses(user + away)
    device = draws.weighted((50, 30, 15, 5), rows)
    refused = (action == 0) & (draws.below(100, rows) < 7)
    registered = pc.if_else(
        pa.array(action == _REGISTER),
        joined(',"user_registration_ip":"', address, '","user_registration_time":"', times, '"'),
        pa.scalar(""),
    )
    return joined(
        '{"@timestamp":"', times,
        '","event":{"id":"', named("l", block.first + np.arange(rows), 10),
        '","action":"', pa.array(_ACTIONS).take(pa.array(action)),
        '","outcome":"', pc.if_else(pa.array(refused), "failure", "success"),
        '"},"user":{"id":"', named("u", user, 7),
        '"},"source":{"ip":"', address,
        '","port":', ports(draws, rows),
        '},"device":{"id":"', hexadecimal(draws, rows),
        '","model":{"name":"', pa.array(_MODELS).take(pa.array(device)),
        '"}},"user_agent":{"original":"', pa.array(AGENTS).take(pa.array(device)),
        '"},"session_id":"', hexadecimal(draws, rows), '"', registered, "}",
    )  # fmt: skip
