"""Moments within texts, said in Shanghai's time: details of findings and certificates hold them in UTC."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from retention.policies.periods import SHANGHAI

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)")


def in_shanghai(text: str) -> str:
    """A text with each moment in it (RFC 3339) said in Shanghai's time, to the minute."""
    return _MOMENT.sub(_moment, text)


def _moment(found: re.Match[str]) -> str:
    try:
        return datetime.fromisoformat(found[0]).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError):
        return found[0]
