"""A second reader of look-up sections, from section 4a of docs/archive-format.md alone, without the product."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.cmac import CMAC

from tests.independent_reader.reader import Suite, require


def number(data: bytes) -> int:
    return int.from_bytes(data, "little")


@dataclass
class Section:
    head: dict[str, Any]
    body: bytes
    suite: Suite
    period_key: bytes

    def blocks(self, column: str, value: str) -> list[int]:
        """Section 4.15."""
        shape = self.head["postings"][column]
        info = b"liucun/postings/v1\x00" + self.suite.aead + b"\x00" + column.encode()
        given = value.encode() if len(value.encode()) <= 64 else self.suite.hash(value.encode())
        mac = CMAC(self.suite.block(self.suite.expand(self.period_key, info, self.suite.key)))
        mac.update(given)
        bits = f"{int.from_bytes(mac.finalize()[:8], 'big'):064b}"
        bucket = int("0" + bits[: shape["bits"]], 2)
        remainder = int(bits[shape["bits"] : shape["bits"] + 8], 2)
        group, within = divmod(bucket, 1024)
        at = shape["directory"] + 8 * group
        start, first, _, behind = (number(self.body[at + 4 * n :][:4]) for n in range(4))
        pairs, buckets = behind - first, min(1024, 2 ** shape["bits"] - 1024 * group)
        record = self.body[shape["groups"] + start :]
        length = -(-(pairs + buckets) // 8)
        bitmap = "".join(f"{byte:08b}" for byte in record[:length])[: pairs + buckets]
        before = [len(ones) for ones in bitmap.split("0")]
        low, width = sum(before[:within]), 2 if shape["wide"] else 1
        found = []
        for pair in range(low, low + before[within]):
            if record[length + pair] == remainder:
                found.append(number(record[length + pairs + width * pair :][:width]))
        return found

    def page(self, block: int, leaf: int) -> tuple[int, int, int]:
        """Section 4.14."""
        at = self.head["pages"] + 16 * (block * len(self.head["leaves"]) + leaf)
        entry = self.body[at : at + 16]
        return number(entry[:8]), number(entry[8:12]), number(entry[12:])


def section_of(plaintext: bytes, suite: Suite, period_key: bytes) -> Section | None:
    """Sections 4.11 and 4.13."""
    footer = len(plaintext) - 8 - number(plaintext[-8:-4])
    length = number(plaintext[footer - 4 : footer])
    if not 0 < length <= 1 << 18:
        return None
    head = plaintext[footer - 20 - length : footer - 20]
    tag = suite.mac(suite.expand(period_key, b"liucun/lookups/v1", 32), head)[:16]
    if tag != plaintext[footer - 20 : footer - 4]:
        return None
    told = json.loads(head)
    require((told["version"], told["block_rows"]) == (1, 2048), "4.13")
    for elements, _ in told["elements"].values():
        base64.b64decode(elements, validate=True)
    begin = footer - 20 - length - told["length"]
    return Section(told, plaintext[begin : begin + told["length"]], suite, period_key)
