"""What ships: every rule does what its examples say, every category has a pack, harmless text is left alone."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from detectors.base import CATEGORIES, FINDING_SCHEMA, Detector
from detectors.default import PACKS, default_detector, default_keywords
from detectors.keywords.packset import load_packs
from tests.detectors.short_comments import SHORT_COMMENTS

RULES = load_packs(PACKS).rules


def rules_in(text: str) -> set[str]:
    return set(default_keywords().evidence(pa.array([text])).column("rule").to_pylist())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_hits_and_misses_its_examples(rule) -> None:
    assert rule.hits
    assert rule.misses
    for text in rule.hits:
        assert rule.id in rules_in(text), text
    for text in rule.misses:
        assert rule.id not in rules_in(text), text


def test_every_category_has_a_pack() -> None:
    assert {path.stem for path in PACKS.glob("*.csv")} >= set(CATEGORIES)
    assert {rule.category for rule in RULES} == {name for name in CATEGORIES if not name.startswith("article15")}


def test_the_default_speaks_with_both_voices() -> None:
    detector = default_detector()
    assert isinstance(detector, Detector)
    found = detector.detect(pa.array(["今天吃什么", None, "百家乐 上线送彩金", ""]))
    assert found.schema == FINDING_SCHEMA
    assert set(found.column("row").to_pylist()) == {2}
    assert {rule.split(":")[0] for rule in found.column("rule").to_pylist()} >= {"model"}
    assert {rule.split(".")[0] for rule in found.column("rule").to_pylist()} >= {"gambling"}


def test_nothing_found_is_an_empty_batch() -> None:
    for texts in (pa.array(["今天吃什么"]), pa.array([], pa.string()), pa.array([None], pa.string())):
        found = default_detector().detect(texts)
        assert found.num_rows == 0
        assert found.schema == FINDING_SCHEMA


def test_short_harmless_comments_are_left_alone() -> None:
    """Few n-grams are little evidence: 求链接 and 打卡第六天 are no lures."""
    found = default_detector().detect(pa.array(SHORT_COMMENTS))
    assert len(set(found.column("row").to_pylist())) <= 0.04 * len(SHORT_COMMENTS)


def test_short_offers_and_insults_are_found() -> None:
    texts = [
        "约炮加v",
        "代开发票",
        "裸聊扣1",
        "你妈死了",
        "网赌稳赚",
        "办证刻章",
        "出冰",
        "傻逼东西",
        "死全家",
        "上门服务加薇",
    ]
    found = default_detector().detect(pa.array(texts))
    assert len(set(found.column("row").to_pylist())) >= 9


def test_false_alarms_on_harmless_reviews(shared_data: Path) -> None:
    texts: list[str] = []
    for name in ("benign_shopping_half", "benign_hotel"):
        with gzip.open(shared_data / "text" / f"{name}.csv.gz", "rt", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        texts += [row.get("review") or row.get("text") or "" for row in rows]
    assert len(texts) > 39_000
    found = default_detector().detect(pa.array(texts))
    assert len(set(found.column("row").to_pylist())) <= 0.003 * len(texts)
    keywords = default_keywords().detect(pa.array(texts))
    assert len(set(keywords.column("row").to_pylist())) <= 0.001 * len(texts)
