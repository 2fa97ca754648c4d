"""The shipped detector and its command, from outside."""

from __future__ import annotations

import json
import pickle

import pyarrow as pa
import pytest
from click.testing import CliRunner

from detectors.base import FINDING_SCHEMA, Detector
from detectors.default import default_detector, default_keywords
from detectors.errors import TextColumnError
from detectors.model import default_model
from liucun.commands.detect import command

DISGUISES = {
    "plain": "长期出售冰毒，量大从优",
    "traditional": "長期出售冰毒",
    "zero width": "长期出\u200b售\u200d冰\ufeff毒",
    "symbols": "长期出*售 冰-毒",
    "repeats": "长期出出售售冰冰毒毒毒",
}


@pytest.mark.parametrize("text", DISGUISES.values(), ids=DISGUISES.keys())
def test_finds_disguised_words_at_their_place(text: str) -> None:
    findings = default_keywords().detect(pa.array(["平常的一句话", None, text]))
    assert findings.schema == FINDING_SCHEMA
    (found,) = [f for f in findings.to_pylist() if f["rule"].startswith("drugs.")][:1]
    assert found["row"] == 2
    assert found["matched"] == text[found["start"] : found["end"]]
    assert found["matched"][0] == "出"
    assert found["matched"][-1] == "毒"


def test_is_a_detector_that_pickles() -> None:
    detector = default_detector()
    assert isinstance(detector, Detector)
    again = pickle.loads(pickle.dumps(detector))
    texts = pa.array(list(DISGUISES.values()))
    assert again.version == detector.version
    assert again.detect(texts).equals(detector.detect(texts))


TEXTS = pa.array(["平常的一句话", None, "长期出售冰毒", "代开发票"])
FORMS = {
    "large": TEXTS.cast(pa.large_string()),
    "view": TEXTS.cast(pa.string_view()),
    "dictionary": TEXTS.dictionary_encode(),
    "large dictionary": TEXTS.cast(pa.large_string()).dictionary_encode(),
    "sliced": pa.concat_arrays([pa.array(["出售冰毒"]), TEXTS]).slice(1),
    "large, sliced": pa.concat_arrays([pa.array(["出售冰毒"]), TEXTS]).cast(pa.large_string()).slice(1),
    "chunks": pa.chunked_array([TEXTS.slice(0, 1), TEXTS.slice(1, 0), TEXTS.slice(1)]),
}


@pytest.mark.parametrize("form", FORMS)
def test_any_form_of_text_column_is_read_alike(form: str) -> None:
    for detector in (default_keywords(), default_detector(), default_model()):
        assert detector.detect(FORMS[form]).equals(detector.detect(TEXTS))
    empty = FORMS[form].slice(0, 0)
    assert default_detector().detect(empty).num_rows == 0


def test_a_column_without_text_is_refused() -> None:
    assert default_detector().detect(pa.nulls(3)).num_rows == 0
    assert default_detector().detect(pa.chunked_array([], pa.large_string())).num_rows == 0
    for column in (pa.array([1, 2]), pa.array([b"x"]), pa.array([["x"]])):
        for detector in (default_keywords(), default_detector(), default_model()):
            with pytest.raises(TextColumnError, match="holds no text"):
                detector.detect(column)


def test_command_prints_one_object_a_line() -> None:
    data = "专业代开发票\n\n路口交通\r\n".encode() + b"\xff\xfe \xe5\x87\n" + "出售冰毒".encode()
    done = CliRunner().invoke(command, ["--json"], input=data)
    assert done.exit_code == 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["line"] for line in lines] == [1, 2, 3, 4, 5]
    assert [line["illegal"] for line in lines] == [True, False, False, False, True]
    assert lines[1] == {"line": 2, "illegal": False, "category": None, "score": 0.0, "findings": []}
    assert lines[4]["category"] == "drugs"
    assert lines[4]["findings"][0]["start"] == 0
    assert lines[4]["findings"][0]["end"] == 4


def test_command_shows_hits_with_context() -> None:
    done = CliRunner().invoke(command, [], input="长期出售冰毒，量大从优\n好吃\n")
    assert done.exit_code == 0
    assert "长期【出售冰毒】，量大从优" in done.stdout
    assert "2 lines, 1 with" in done.stdout


def test_command_explains_findings_of_the_model_by_n_grams_of_the_line() -> None:
    line = "北京赛.车PK10计划群😀，跟着导師穩赚"
    done = CliRunner().invoke(command, ["--json", "--explain"], input=f"好吃\n{line}\n")
    assert done.exit_code == 0
    harmless, found = [json.loads(one) for one in done.stdout.splitlines()]
    assert harmless["findings"] == []
    for finding in found["findings"]:
        evidence = finding.get("evidence")
        assert (evidence is not None) == finding["rule"].startswith("model:")
        assert evidence is None or 0 < len(evidence) <= 8
        for one in evidence or ():
            assert one["text"] == line[one["start"] : one["end"]]
            assert one["weight"] > 0
            assert one["view"] in ("normalised", "pinyin")
    shown = CliRunner().invoke(command, ["--explain"], input=f"{line}\n").stdout
    assert "\tnormalised\t" in shown
