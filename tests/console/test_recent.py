"""Figures are computed once for all who ask meanwhile, and again when they are too old."""

from __future__ import annotations

import threading
import time

import pytest

from console.reading.recent import MOST, Recent


def test_an_answer_is_kept_for_its_time() -> None:
    now, asked = [0.0], []
    recent = Recent(clock=lambda: now[0])
    for moment, expected in ((0.0, 1), (5.0, 1), (5.1, 2)):
        now[0] = moment
        assert recent.read("a", 5.0, lambda: asked.append(1) or len(asked)) == expected
    assert recent.read("b", 5.0, lambda: "other") == "other"


def test_many_at_once_compute_once() -> None:
    recent, asked = Recent(), []

    def slow() -> int:
        asked.append(1)
        time.sleep(0.05)
        return 7

    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(recent.read("a", 60, slow))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [7] * 8
    assert len(asked) == 1


def test_a_failure_is_not_kept_and_old_answers_go() -> None:
    recent = Recent()

    def broken() -> int:
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        recent.read("a", 60, broken)
    assert recent.read("a", 60, lambda: 1) == 1
    for n in range(MOST + 1):
        recent.read(f"k{n}", 60, lambda: 0)
    assert recent.read("a", 60, lambda: 2) == 2
