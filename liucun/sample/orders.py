"""Orders from creation to completion or refund: ndjson of class ``transaction``, columns under their own names."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liucun.sample.draws import Draws, Int64s, mixed
from liucun.sample.fields import Block, addresses, hexadecimal, iso, joined, money, named, ports, strings

BUYERS: Final = 50_000
SELLERS: Final = 2_000
ITEMS: Final = 20_000

_MINUTE: Final = 60_000
_HOUR: Final = 60 * _MINUTE

_STAGES: Final = (
    # (event_action, order_status, shortest and longest time since the stage before in ms)
    ("order.created", "created", 0, 1),
    ("order.paid", "paid", _MINUTE // 4, 30 * _MINUTE),
    ("order.shipped", "shipped", 2 * _HOUR, 48 * _HOUR),
    ("order.completed", "completed", 24 * _HOUR, 240 * _HOUR),
    ("order.cancelled", "cancelled", 5 * _MINUTE, 24 * _HOUR),
    ("refund.requested", "refund_requested", _HOUR, 96 * _HOUR),
    ("refund.completed", "refunded", _HOUR, 72 * _HOUR),
)
_COMPLETED: Final = 3
_LIVES: Final = (
    # (how many of 100 orders, their stages)
    (74, (0, 1, 2, 3)),
    (10, (0, 4)),
    (8, (0, 1, 2, 5, 6)),
    (4, (0, 1, 5, 6)),
    (4, (0, 1)),
)
_DEPTH: Final = 5


def orders(block: Block) -> pa.StringArray:
    """Exactly ``block.rows`` events, in order of time; the last order of the block may be cut short."""
    draws = block.draws("orders")
    count = block.rows  # as every order gives at least its creation
    created = np.sort(block.begin + draws.below(block.end - block.begin, count))
    lives = draws.weighted([weight for weight, _ in _LIVES], count)
    order, stage, times = _events(draws, block, created, lives)
    keep = np.argsort(order * _DEPTH, kind="stable")[: block.rows]
    by_time = keep[np.argsort(times[keep], kind="stable")]
    return _lines(block, order[by_time], stage[by_time], times[by_time])


def _events(draws: Draws, block: Block, created: Int64s, lives: Int64s) -> tuple[Int64s, Int64s, Int64s]:
    """Order number, stage and time of every event before ``until``, stage after stage."""
    stages = np.full((len(_LIVES), _DEPTH), -1, dtype=np.int64)
    for row, (_, life) in enumerate(_LIVES):
        stages[row, : len(life)] = life
    shortest = np.array([stage[2] for stage in _STAGES])
    span = np.array([stage[3] - stage[2] for stage in _STAGES])
    numbers, found, times = [], [], []
    at = created
    for depth in range(_DEPTH):
        now = stages[lives, depth]
        if depth:
            at = at + shortest[now] + (draws.unit(len(at)) * span[now]).astype(np.int64)
        there = np.flatnonzero((now >= 0) & (at < block.until))
        numbers.append(there)
        found.append(now[there])
        times.append(at[there])
    return np.concatenate(numbers), np.concatenate(found), np.concatenate(times)


def _lines(block: Block, order: Int64s, stage: Int64s, times: Int64s) -> pa.StringArray:
    rows = len(order)
    per_order = block.draws("order")
    buyer, item, quantity, host = (
        column[order]
        for column in (
            per_order.skewed(BUYERS, block.rows),
            per_order.skewed(ITEMS, block.rows),
            1 + per_order.skewed(9, block.rows),
            per_order.below(1 << 30, block.rows),
        )
    )
    word = mixed(item.astype(np.uint64) + np.uint64(block.seed % (1 << 32)))
    seller = (word % np.uint64(SELLERS)).astype(np.int64)
    price = (
        100 + (word >> np.uint64(20)).astype(np.int64) % 30_000 + (word >> np.uint64(40)).astype(np.int64) % 97 * 200
    )
    per_event = block.draws("event")
    shown = iso(times)
    names = [pa.array([row[column] for row in _STAGES]).take(pa.array(stage)) for column in (0, 1)]
    completed = pc.if_else(
        pa.array(stage == _COMPLETED), joined(',"transaction_completed_at":"', shown, '"'), pa.scalar("")
    )
    channel = pa.array(["wallet", "bank_card", "credit", "corporate"]).take(
        pa.array(per_order.weighted((60, 28, 10, 2), block.rows)[order])
    )
    return joined(
        '{"event_time":"', shown,
        '","event_id":"', named("e", block.first + np.arange(rows), 10),
        '","event_action":"', names[0],
        '","order_id":"', named("o", block.first + order, 12),
        '","order_status":"', names[1],
        '","user_id":"', named("u", buyer, 7),
        '","counterparty_id":"', named("s", seller, 5),
        '","item_id":"', named("i", item, 6),
        '","quantity":', strings(quantity),
        ',"unit_price":', money(price),
        ',"amount":', money(price * quantity),
        ',"currency":"CNY","source_ip":"', addresses(buyer + host % 3),
        '","source_port":', ports(per_event, rows),
        ',"session_id":"', hexadecimal(per_event, rows),
        '","payment_channel":"', channel, '"', completed, "}",
    )  # fmt: skip
