"""``liucun model``: what it prints, writes, installs and refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner, Result

from errors import LiucunError, SettingsError, UsageError
from liucun.commands.model import command

WORDS = {"bad": ["百家乐", "下注", "彩金", "返水"], "none": ["早餐", "天气", "孩子", "快递"]}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "data.csv", 480)


def write(path: Path, rows: int, *, flip: bool = False) -> Path:
    rng = Random(3)
    with path.open("w", encoding="utf-8", newline="") as out:
        sheet = csv.writer(out)
        sheet.writerow(["text", "label"])
        for n in range(rows):
            label = "bad" if n % 2 else "none"
            words = rng.choices(WORDS[label], k=3) + rng.choices("我们今天一起去看看吧", k=5)
            rng.shuffle(words)
            sheet.writerow(["".join(words), rng.choice(list(WORDS)) if flip else label])
    return path


def call(*words: object) -> Result:
    return CliRunner().invoke(command, [str(w) for w in words])


def told(result: Result) -> LiucunError:
    assert isinstance(result.exception, LiucunError), result.output
    return result.exception


def test_train_then_evaluate(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    trained = call("train", "--data", data, "--out", out, "--no-disguises", "--json")
    assert trained.exit_code == 0, trained.output
    shown = json.loads(trained.output)
    assert shown["rows"] == 480
    assert shown["evaluation"]["accuracy"] > 0.95
    table = call("evaluate", "--data", data, "--model", out, "--harmless", data)
    assert table.exit_code == 0, table.output
    assert "召回率" in table.output
    assert "homophone" in table.output
    figures = json.loads(call("evaluate", "--data", data, "--model", out, "--json").output)
    assert figures["model"] == shown["model"]
    assert {c["label"] for c in figures["classes"]} == {"bad", "none"}
    assert figures["disguised"].keys() >= {"homophone", "pinyin", "split", "emoji", "width", "symbols", "traditional"}


@pytest.mark.parametrize("option", [["--text-column", "x"], ["--label-column", "x"], ["--none-label", "x"]])
def test_wrong_names_are_told(option: list[str], data: Path, tmp_path: Path) -> None:
    error = told(call("train", "--data", data, "--out", tmp_path / "m", *option))
    assert isinstance(error, UsageError)
    assert not (tmp_path / "m").exists()


def test_one_class_only(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("text,label\n" + "你好,none\n" * 30, encoding="utf-8")
    assert "two labels" in told(call("train", "--data", path, "--out", tmp_path / "m")).what


def test_where_to_is_asked(data: Path, tmp_path: Path) -> None:
    assert isinstance(told(call("train", "--data", data)), UsageError)
    assert isinstance(told(call("train", "--data", data, "--install", "--store", tmp_path / "gone")), SettingsError)


def test_nothing_to_train_on_is_said(tmp_path: Path) -> None:
    assert isinstance(told(call("train", "--out", tmp_path / "m")), UsageError)
    assert isinstance(told(call("train", "--decisions", "--out", tmp_path / "m", "--store", tmp_path)), SettingsError)
    assert isinstance(told(call("evaluate")), UsageError)
