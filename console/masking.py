"""Hides personal data in what people look at: telephone, identity and card numbers, e-mail, names, addresses, accounts.

Each hidden character becomes one sign, so that the offsets of hits stay right. This is for the eye, against needless
looking; it is not anonymisation (个人信息保护法 art. 73(4)).
"""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "＊"
MAX_TEXT: Final = 200_000
"""Longer texts are shown cut; patterns run over this much at most."""

_NUMBER_EDGE = r"(?<![0-9A-Za-z])"
_PATTERNS: Final = (
    # 18-digit identity numbers (GB 11643), a check sign at the end.
    (
        re.compile(
            _NUMBER_EDGE + r"[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{3}[0-9Xx](?![0-9A-Za-z])"
        ),
        3,
        2,
    ),
    # Mobile numbers, with the signs that people put between.
    (re.compile(r"(?<!\d)(?:\+?86[- ]?)?1[3-9]\d(?:[-\s.·_]?\d){8}(?!\d)"), 3, 2),
    # Landlines with area code.
    (re.compile(r"(?<!\d)0\d{2,3}[- ]\d{7,8}(?!\d)"), 4, 2),
    # Bank cards.
    (re.compile(r"(?<!\d)(?:62|4\d|5[1-5]|3[47])\d{2}(?:[ -]?\d{4}){2}(?:[ -]?\d{3,7})(?!\d)"), 4, 4),
    (re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}"), 1, 4),
    # IPv4 addresses.
    (re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])"), 3, 0),
    # A Chinese name after the word for one.
    (
        re.compile(r"(?:(?<=姓名[:： ])|(?<=收货人[:： ])|(?<=联系人[:： ])|(?<=收件人[:： ]))[\u4e00-\u9fff·]{2,4}"),
        1,
        0,
    ),
    # An address after the word for one, or from a province or city down to a house number.
    (re.compile(r"(?<=[地住]址[:\uff1a ])[^\s,\uff0c。;\uff1b]{4,60}"), 3, 0),
    (
        re.compile(
            r"[\u4e00-\u9fff]{2,3}(?:省|市|自治区)(?=[^\s,\uff0c。;\uff1b]{2,30}\d{1,5}(?:号|室|楼|栋|幢))[^\s,\uff0c。;\uff1b]{2,40}"
        ),
        3,
        0,
    ),
)
"""Pattern, characters kept in front, characters kept at the end."""


def mask_text(text: str) -> str:
    """A text of the same length with personal data hidden."""
    shown = text[:MAX_TEXT]
    for pattern, front, back in _PATTERNS:
        shown = _hidden(pattern, front, back, shown)
    return shown


def _hidden(pattern: re.Pattern[str], front: int, back: int, text: str) -> str:
    return pattern.sub(lambda found: hide(found[0], front, back), text)


def mask_account(account: str) -> str:
    """An account's name with its middle hidden."""
    if len(account) <= 3:
        return HIDDEN * len(account)
    keep = 2 if len(account) < 9 else 3
    return hide(account, keep, 2 if len(account) > 5 else 0)


def mask_address(address: str) -> str:
    """An IP address with its host part hidden."""
    head, dot, _ = address.rpartition("." if "." in address else ":")
    return f"{head}{dot}{HIDDEN}" if dot else HIDDEN


def hide(text: str, front: int, back: int) -> str:
    """Hide all but the first and the last few characters; the signs between digits stay."""
    end = len(text) - back
    return "".join(c if n < front or n >= end or c in " -.@" else HIDDEN for n, c in enumerate(text))
