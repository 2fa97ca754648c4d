"""A detail of an event as people read it: words by their names, times in Shanghai's, digests by their beginning."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from console import labels
from console.i18n import mark as _
from tickets.clocks import SHANGHAI

_NAMED: Final[dict[str, dict[str, str]]] = {
    "category": labels.CATEGORIES,
    "channel": labels.CHANNELS,
    "decision": labels.DECISIONS,
    "measure": labels.MEASURES,
    "from": labels.STATES,
    "to": labels.STATES,
    "recipient": labels.RECIPIENTS,
    "class": labels.CLASSES,
    "classes": labels.CLASSES,
    "clock": labels.DUTIES,
    "checked": labels.CHECKED,
    "outcome": labels.OUTCOMES,
}
_DIGEST: Final = re.compile(r"[0-9a-f]{40,}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
LONGEST: Final = 120


def detail(value: Any, name: str, say: Callable[[str], str] = str) -> str:
    """A value of an event's body; ``say`` translates."""
    text = _text(value, name, say)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _text(value: Any, name: str, say: Callable[[str], str]) -> str:
    names = _NAMED.get(name, {})
    if isinstance(value, bool):
        return say(_("是")) if value else say(_("否"))
    if isinstance(value, dict):
        return say(_("、")).join(f"{_word(str(k), names, say)} {_text(v, '', say)}" for k, v in value.items())
    if isinstance(value, list):
        return say(_("、")).join(_text(item, name, say) for item in value)
    if value is None:
        return "–"
    if not isinstance(value, str):
        return say(labels.SEVERITIES[value]) if name == "severity" and value in labels.SEVERITIES else str(value)
    if _DIGEST.fullmatch(value):
        return f"{value[:12]}…"
    if _TIME.match(value):
        try:
            return datetime.fromisoformat(value).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
        except ValueError:
            return value
    return _word(value.removeprefix("user:"), names, say)


def _word(word: str, names: dict[str, str], say: Callable[[str], str]) -> str:
    return say(names[word]) if word in names else word
