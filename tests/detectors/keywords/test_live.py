"""A running job's packs: changes are taken up when they have settled, bad ones leave the last good in force."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from detectors.keywords.layers import Layers, load_layers
from detectors.keywords.live import Change, LivePacks, Refused, Taken
from detectors.keywords.packset import PackSet

DAY = date(2026, 11, 24)
TEXT = pa.array(["刷单返利，跑分"])


class Days:
    """A calendar that a test turns."""

    def __init__(self) -> None:
        self.today = DAY

    def __call__(self) -> date:
        return self.today


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "a,fraud,刷单")
    return tmp_path


def write(folder: Path, *rows: str, name: str = "own.csv") -> None:
    (folder / name).write_text("\n".join(["id,category,words", *rows, ""]), encoding="utf-8")


def live(folder: Path, days: Days | None = None) -> LivePacks:
    layers = Layers((folder,))
    held = LivePacks(layers, load_layers(layers, DAY), days or Days(), check_seconds=0, settle_seconds=0)
    assert held.refresh() is None
    return held


def settled(held: LivePacks) -> Change | None:
    """Look twice: a change is taken up when it is still there at the second look."""
    assert held.refresh() is None
    return held.refresh()


def rules(held: LivePacks) -> list[str]:
    return sorted(held.detector.detect(TEXT).column("rule").to_pylist())


def test_a_changed_pack_is_taken_up(folder: Path) -> None:
    held = live(folder)
    assert rules(held) == ["a"]
    write(folder, "a,fraud,刷单", "b,fraud,跑分")
    assert isinstance(settled(held), Taken)
    assert rules(held) == ["a", "b"]
    assert held.refresh() is None


def test_new_and_removed_packs_are_taken_up(folder: Path) -> None:
    held = live(folder)
    write(folder, "c,fraud,返利", name="more.csv")
    assert isinstance(settled(held), Taken)
    assert rules(held) == ["a", "c"]
    (folder / "own.csv").unlink()
    assert isinstance(settled(held), Taken)
    assert rules(held) == ["c"]


@pytest.mark.parametrize("row", ["b,frauds,跑分", "b,fraud,", "b,fraud,跑分|跑分", "a,fraud,跑分", 'b,"fraud'])
def test_a_bad_pack_leaves_the_last_good_in_force_and_says_so_once(folder: Path, row: str) -> None:
    held = live(folder)
    before = held.detector.version
    write(folder, "a,fraud,刷单", row)
    change = settled(held)
    assert isinstance(change, Refused)
    assert change.in_force == before
    assert change.alarm.problems
    assert rules(held) == ["a"]
    assert held.refresh() is None
    os.utime(folder / "own.csv")
    assert settled(held) is None, "the same fault is told once"
    assert held.alarm is not None


def test_a_cured_pack_ends_the_alarm_even_if_it_is_the_old_one(folder: Path) -> None:
    held = live(folder)
    write(folder, "a,fraud,刷单", "b,frauds,跑分")
    assert isinstance(settled(held), Refused)
    write(folder, "a,fraud,刷单")
    assert isinstance(settled(held), Taken)
    assert held.alarm is None


def test_a_touched_but_equal_pack_changes_nothing(folder: Path) -> None:
    held = live(folder)
    os.utime(folder / "own.csv", ns=(1, 1))
    assert settled(held) is None


def test_a_new_day_brings_rules_of_that_day(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("id,category,words,since\na,fraud,刷单,\nb,fraud,跑分,2026-11-25\n", "utf-8")
    days = Days()
    held = live(tmp_path, days)
    assert rules(held) == ["a"]
    days.today = date(2026, 11, 25)
    assert isinstance(settled(held), Taken)
    assert rules(held) == ["a", "b"]


def test_a_file_still_being_written_waits(folder: Path) -> None:
    layers = Layers((folder,))
    held = LivePacks(layers, load_layers(layers, DAY), Days(), check_seconds=0, settle_seconds=60)
    assert held.refresh() is None
    write(folder, "a,fraud,刷单", "b,fraud")
    assert [held.refresh() for _ in range(3)] == [None, None, None]
    assert rules(held) == ["a"]


def test_a_worker_that_starts_while_packs_are_bad_goes_on_with_those_it_was_given(folder: Path) -> None:
    good = load_layers(Layers((folder,)), DAY)
    assert isinstance(good, PackSet)
    write(folder, "a,frauds,刷单")
    held = LivePacks(Layers((folder,)), good, Days(), check_seconds=0, settle_seconds=0)
    assert isinstance(held.refresh(), Refused)
    assert rules(held) == ["a"]
