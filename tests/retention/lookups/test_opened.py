"""What look-ups keep open: the least used goes first, and nothing stays when nobody asks."""

from __future__ import annotations

import time
from typing import Any, cast

from retention.lookups.opened import OpenedSection, OpenedSegments


def section(name: str) -> OpenedSection:
    return OpenedSection(cast("Any", name), None, 0)


def test_the_least_used_is_given_up() -> None:
    opened = OpenedSegments(most=2)
    opened.keep("a", section("a"))
    opened.keep("b", section("b"))
    assert opened.get("a") == section("a")
    opened.keep("c", section("c"))
    assert ("a" in opened, "b" in opened, "c" in opened) == (True, False, True)
    opened.clear()
    assert (opened.get("a"), len(opened)) == (None, 0)


def test_what_is_idle_is_let_go_of_without_being_asked() -> None:
    opened = OpenedSegments(idle=0.2)
    opened.keep("a", section("a"))
    opened.keep("b", section("b"))
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:  # used again and again
        assert opened.get("b") == section("b")
        time.sleep(0.01)
    assert "a" not in opened
    deadline = time.monotonic() + 20
    while len(opened) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(opened) == 0
