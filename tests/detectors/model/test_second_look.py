"""A second look at texts of which the model is unsure, by a tiny encoder made here and run by onnxruntime."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper, numpy_helper

from detectors.default import installed_detector
from detectors.model import default_model
from detectors.model.detector import ModelDetector
from detectors.model.errors import ModelFileError
from detectors.model.second_look import SECOND, load_second, second_look

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "赌", "好", "v", "##x", "vx", "##1"]
LABELS = ["none", "gambling"]


def encoder(weights: list[list[float]], inputs: tuple[str, ...] = ("input_ids", "attention_mask")) -> bytes:
    """An encoder that adds up a weight a token and label."""
    nodes = [helper.make_node("Gather", ["weights", "input_ids"], ["each"])]
    last = "each"
    if "attention_mask" in inputs:
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["mask", "last"], ["wide"]),
            helper.make_node("Mul", ["each", "wide"], ["kept"]),
        ]
        last = "kept"
    nodes.append(helper.make_node("ReduceSum", [last, "second"], ["logits"], keepdims=0))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", "tokens"]) for name in inputs],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", "labels"])],
        [
            numpy_helper.from_array(np.array(weights, np.float32), "weights"),
            numpy_helper.from_array(np.array([-1], np.int64), "last"),
            numpy_helper.from_array(np.array([1], np.int64), "second"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def weights_for(char: str, weight: float = 9.0) -> list[list[float]]:
    """Every text is harmless unless it holds ``char``."""
    table = [[0.0, 0.0] for _ in VOCABULARY]
    table[VOCABULARY.index("[CLS]")] = [3.0, 0.0]
    table[VOCABULARY.index(char)] = [0.0, weight]
    return table


def write(folder: Path, body: bytes | None = None, vocabulary: list[str] = VOCABULARY, **said: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "encoder.onnx").write_bytes(encoder(weights_for("赌")) if body is None else body)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    (folder / "second.json").write_text(json.dumps({"labels": LABELS, "none_label": "none", **said}), encoding="utf-8")
    return folder


def test_characters_and_pieces_of_words_are_numbered(tmp_path: Path) -> None:
    look = load_second(write(tmp_path))
    assert look.tokens("赌 VX1好") == [2, 4, 8, 9, 5, 3]
    assert look.tokens("车vz") == [2, 1, 6, 1, 3]
    assert load_second(write(tmp_path / "short", length=4)).tokens("赌好赌好") == [2, 4, 5, 3]


def test_texts_of_every_length_are_scored_alike_in_any_company(tmp_path: Path) -> None:
    look = load_second(write(tmp_path))
    texts = ["", "赌", "好" * 500, "赌好", "\U0001f600\ud7ff"] * 20
    labels, scores = look.scores(texts)
    assert labels == ["gambling"] * len(texts)
    assert [round(float(look.scores([text])[1][0]), 9) for text in texts] == [round(float(s), 9) for s in scores]
    assert scores[1] > 0.99 > 0.1 > scores[0]


def test_it_decides_where_the_model_is_unsure(tmp_path: Path) -> None:
    model = default_model().model
    texts = pa.array(["平台彩金天天送，赌一把就提现，加微信", "平台彩金天天送，好一把就提现，加微信", "今天天气好"])
    before = ModelDetector(model).detect(texts).to_pylist()
    assert [f["row"] for f in before] == [0, 1]
    look = load_second(write(tmp_path, uncertain=[0.0, 1.0]))
    wide = replace(look, uncertain=(0.0, 1.1))
    found = ModelDetector(model, second=wide).detect(texts).to_pylist()
    assert [(f["row"], f["rule"], f["category"]) for f in found[:1]] == [(0, "model:gambling:second", "gambling")]
    assert found[0]["score"] > 0.99
    # What the model found and the encoder calls harmless is still shown, to be sampled.
    assert (found[1]["rule"].endswith(":sampling"), found[1]["severity"]) == (True, 1)
    assert {f["version"] for f in found} == {f"{model.version}+{look.version}"}
    for finding in found:
        text = texts[finding["row"]].as_py()
        assert text[finding["start"] : finding["end"]] == finding["matched"] != ""
    # Outside of what it is asked about the model's word stands.
    aside = replace(look, uncertain=(0.0, 1e-9))
    assert [f["rule"] for f in ModelDetector(model, second=aside).detect(texts).to_pylist()] == [
        f["rule"] for f in before
    ]


def test_what_the_model_let_pass_is_found(tmp_path: Path) -> None:
    model = default_model().model
    strict = dict.fromkeys(model.labels, 2.0)
    texts = pa.array(["平台彩金天天送，赌一把就提现，加微信"] * 3)
    assert not ModelDetector(model, thresholds=strict).detect(texts).num_rows
    look = replace(load_second(write(tmp_path)), uncertain=(0.0, 1.1))
    assert ModelDetector(model, thresholds=strict, second=look).detect(texts).num_rows == 3
    few = replace(look, most=1)
    assert ModelDetector(model, thresholds=strict, second=few).detect(texts).num_rows == 1


def test_a_store_s_folder_is_taken_up_and_none_is_no_fault(tmp_path: Path) -> None:
    assert second_look(None) is None
    assert second_look(tmp_path) is None
    look = load_second(write(tmp_path / SECOND))
    assert look.version in installed_detector(tmp_path).version


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("no ONNX", "damaged"),
        ("labels", "gives"),
        ("unknown input", "failed"),
        ("vocabulary", "lacks"),
        ("vocabulary beyond the table", "failed"),
        ("range", "out of range"),
        ("no none label", "none_label"),
        ("no JSON", "damaged"),
        ("missing", "damaged"),
        ("not numbers", "gives"),
    ],
)
def test_a_damaged_folder_is_a_typed_error(tmp_path: Path, kind: str, said: str) -> None:
    write(tmp_path)
    if kind == "no ONNX":
        write(tmp_path, b"\x00nothing")
    elif kind == "labels":
        write(tmp_path, labels=["none", "a", "b"])
    elif kind == "unknown input":
        write(tmp_path, encoder(weights_for("赌")).replace(b"attention_mask", b"attention_bask"))
    elif kind == "vocabulary":
        write(tmp_path, vocabulary=VOCABULARY[1:])
    elif kind == "vocabulary beyond the table":
        write(tmp_path, encoder(weights_for("赌")[:2]))
    elif kind == "range":
        write(tmp_path, uncertain=[0.9, 0.3])
    elif kind == "no none label":
        write(tmp_path, none_label="harmless")
    elif kind == "no JSON":
        (tmp_path / "second.json").write_text("{")
    elif kind == "missing":
        (tmp_path / "vocab.txt").unlink()
    elif kind == "not numbers":
        write(tmp_path, encoder([[float("nan"), 0.0]] * len(VOCABULARY)))
    with pytest.raises(ModelFileError, match=said):
        load_second(tmp_path)
