"""What users publish, of class ``content``: live-room comments and reviews (ndjson), titles and shop names (CSV).

A small part of it breaks the law, and what does is known: ``planted`` beside the lines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liucun.sample.draws import Draws, Int64s
from liucun.sample.fields import Block, addresses, iso, joined, moments, named, ports
from liucun.sample.orders import BUYERS, ITEMS, SELLERS
from liucun.sample.texts import compose, lines_of
from liucun.sample.violations import pool

PLANTED_IN: Final = 80
"""One text of so many is planted."""
_INNOCENT_IN: Final = 25
_OFFENDERS: Final = 300
"""Few accounts publish what is planted, again and again."""

PLANTED: Final = pa.schema([("content_id", pa.string()), ("category", pa.string()), ("disguise", pa.string())])
CSV_HEADER: Final = b"event_time,event_action,content_id,content_type,user_id,source_ip,source_port,item_id,text\n"


def comments(block: Block) -> tuple[pa.StringArray, pa.Table]:
    """``block.rows`` comments and reviews in order of time, and what is planted among them."""
    rows = block.rows
    draws = block.draws("comments")
    times = iso(moments(draws, block, rows))
    live = draws.below(100, rows) < 80
    texts = _mixture(draws, live, _ordinary("comments"), _ordinary("reviews"))
    ids = named("c", block.first + np.arange(rows), 10)
    texts, user, planted = _plant(block, draws, texts, ids, draws.skewed(BUYERS, rows), BUYERS)
    room = joined('","live_room_id":"', named("r", draws.skewed(900, rows), 4))
    lines = joined(
        '{"event_time":"', times,
        '","event_action":"content.publish","content_id":"', ids,
        '","content_type":"', pc.if_else(pa.array(live), "live_comment", "review"),
        '","user_id":"', named("u", user, 7),
        '","source_ip":"', addresses(user),
        '","source_port":', ports(draws, rows),
        ',"item_id":"', named("i", draws.skewed(ITEMS, rows), 6),
        pc.if_else(pa.array(live), room, pa.scalar("")),
        '","text":"', texts, '"}',
    )  # fmt: skip
    return lines, planted


def catalogue(block: Block) -> tuple[pa.StringArray, pa.Table]:
    """``block.rows`` product titles and shop names as rows of CSV, and what is planted among them."""
    rows = block.rows
    draws = block.draws("catalogue")
    times = iso(moments(draws, block, rows))
    shop = draws.below(100, rows) < 8
    texts = _mixture(draws, shop, _ordinary("shops"), _ordinary("titles"))
    ids = named("p", block.first + np.arange(rows), 10)
    texts, seller, planted = _plant(block, draws, texts, ids, draws.skewed(SELLERS, rows), SELLERS)
    item = pc.if_else(pa.array(shop), pa.scalar(""), named("i", draws.below(ITEMS, rows), 6))
    lines = joined(
        times, ",content.publish,", ids, ",", pc.if_else(pa.array(shop), "shop_name", "product_title"),
        ",", named("s", seller, 5), ",", addresses(seller), ",", ports(draws, rows), ",", item, ',"', texts, '"',
    )  # fmt: skip
    return lines, planted


def _ordinary(name: str) -> Callable[[Draws, int], pa.StringArray]:
    return lambda draws, count: compose(lines_of(name), draws, count)


def _mixture(
    draws: Draws,
    choice: np.ndarray,
    yes: Callable[[Draws, int], pa.StringArray],
    no: Callable[[Draws, int], pa.StringArray],
) -> pa.StringArray:
    """Texts of two kinds, and innocent ones that look guilty."""
    kind = np.where(draws.below(_INNOCENT_IN, len(choice)) == 0, 2, np.where(choice, 0, 1))
    sizes = np.bincount(kind, minlength=3)
    parts = [yes(draws, int(sizes[0])), no(draws, int(sizes[1])), compose(lines_of("innocent"), draws, int(sizes[2]))]
    back = np.empty(len(choice), dtype=np.int64)
    back[np.argsort(kind, kind="stable")] = np.arange(len(choice))
    return pa.concat_arrays(parts).take(pa.array(back))


def _plant(
    block: Block, draws: Draws, texts: pa.StringArray, ids: pa.StringArray, users: Int64s, accounts: int
) -> tuple[pa.StringArray, Int64s, pa.Table]:
    """Put texts of the pool in the place of others, under the names of few accounts."""
    found = pool(block.seed)
    planted = draws.below(PLANTED_IN, block.rows) == 0
    start = int(draws.below(len(found.texts), 1)[0])
    taken = pa.array((start + np.arange(int(planted.sum()))) % len(found.texts))
    texts = pc.replace_with_mask(texts, pa.array(planted), found.texts.take(taken))
    offenders = draws.between(accounts - min(_OFFENDERS, accounts), accounts, block.rows)
    table = pa.Table.from_arrays(
        [ids.filter(pa.array(planted)), found.categories.take(taken), found.disguises.take(taken)], schema=PLANTED
    )
    return texts, np.where(planted, offenders, users), table
