"""What servers write: an access log in the combined format, and the syslog of a gateway, in both forms of syslog."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liucun.sample.fields import Block, addresses, apache, iso, joined, moments, named, ports, rfc3164, strings
from liucun.sample.logins import AGENTS
from liucun.sample.orders import BUYERS, ITEMS


def access(block: Block) -> pa.StringArray:
    """``block.rows`` requests of a web server, in order of time."""
    rows = block.rows
    draws = block.draws("access")
    times = moments(draws, block, rows)
    user = draws.skewed(BUYERS, rows)
    kind = draws.weighted((55, 20, 15, 6, 4), rows)
    item = strings(draws.skewed(ITEMS, rows), 6)
    request = _chosen(
        kind,
        joined("GET /item/", item),
        joined("GET /live/", strings(draws.skewed(900, rows)), "?from=item", item),
        joined("GET /static/app.", strings(draws.below(40, rows)), ".js"),
        joined("POST /api/cart?item=", item),
        joined("POST /api/comment?item=", item),
    )
    status = pa.array(["200", "304", "302", "404", "500"]).take(pa.array(draws.weighted((85, 6, 4, 4, 1), rows)))
    return joined(
        addresses(user), " - ", pc.if_else(pa.array(draws.below(3, rows) == 0), named("u", user, 7), pa.scalar("-")),
        " [", apache(times), '] "', request, ' HTTP/1.1" ', status, " ", strings(draws.skewed(90_000, rows)),
        ' "', pc.if_else(pa.array(draws.below(2, rows) == 0), "https://shop.example/", "-"),
        '" "', pa.array(AGENTS).take(pa.array(draws.weighted((50, 30, 15, 5), rows))), '"',
    )  # fmt: skip


def syslog(block: Block) -> pa.StringArray:
    """``block.rows`` lines of a gateway in order of time: most RFC 3164, every fourth RFC 5424."""
    rows = block.rows
    draws = block.draws("syslog")
    times = moments(draws, block, rows)
    host = pa.array(["gw01", "gw02", "gw03"]).take(pa.array(draws.below(3, rows)))
    process = strings(draws.between(400, 30_000, rows))
    address = addresses(draws.below(1 << 17, rows))
    name = pa.array(["ops", "deploy", "root", "admin", "backup"]).take(
        pa.array(draws.weighted((40, 40, 6, 6, 8), rows))
    )
    port = ports(draws, rows)
    message = _chosen(
        draws.weighted((50, 30, 20), rows),
        joined("Accepted publickey for ", name, " from ", address, " port ", port, " ssh2"),
        joined("Failed password for ", name, " from ", address, " port ", port, " ssh2"),
        joined("Connection closed by ", address, " port ", port, " [preauth]"),
    )
    old = joined("<38>", rfc3164(times), " ", host, " sshd[", process, "]: ", message)
    new = joined("<38>1 ", iso(times), " ", host, " sshd ", process, " - - ", message)
    return pc.if_else(pa.array(np.arange(rows) % 4 == 3), new, old)


def _chosen(kind: np.ndarray, *choices: pa.StringArray) -> pa.StringArray:
    return pc.choose(pa.array(kind), *choices)
