"""Training, its file, evaluation, explanation, the detector, and installing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from detectors.base import FINDING_SCHEMA, Detector
from detectors.corpus.disguises import disguise
from detectors.model import ModelDetector
from detectors.model.comparing import hold_out, refuse_worse
from detectors.model.decide import decide
from detectors.model.errors import ModelFileError, ModelWriteError, TrainingDataError, WorseModelError
from detectors.model.evaluate import evaluate
from detectors.model.explain import explain, strongest_spans
from detectors.model.files import load, save
from detectors.model.labelled import Labelled, joined
from detectors.model.linear import LinearModel
from detectors.model.train import (
    _GATE_ROOM,
    EVEN_THRESHOLD,
    MOST_THRESHOLD,
    TrainOptions,
    _gate,
    choose_thresholds,
    train,
    train_with_disguises,
)
from detectors.model.versions import install, installed

from .conftest import small_set

FRESH = small_set(120, seed=2)


def test_it_learns_and_is_calibrated(small_model: LinearModel) -> None:
    figures = evaluate(small_model, FRESH.texts, FRESH.labels, harmless=pa.array(["今天天气不错", "早餐好吃"]))
    assert figures.macro_f1 > 0.97
    assert figures.recall is not None
    assert figures.recall > 0.95
    assert figures.harmless_false_alarms == 0
    assert figures.calibration_error < 0.2
    assert figures.disguised["symbols"] > 0.9
    assert figures.disguised["width"] > 0.9
    assert np.allclose(small_model.probabilities(FRESH.texts).sum(axis=1), 1)


def test_training_twice_gives_the_same_bytes(small: Labelled, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(train(small.texts, small.labels, TrainOptions(bits=12)).model, tmp_path / name)
    for file in ("model.json", "model.npz"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_saved_model_scores_alike(small_model: LinearModel, tmp_path: Path) -> None:
    save(small_model, tmp_path / "m")
    again = load(tmp_path / "m")
    assert again.version == small_model.version
    assert again.labels == small_model.labels
    assert np.array_equal(again.margins(FRESH.texts), small_model.margins(FRESH.texts))
    assert np.array_equal(again.suspects(FRESH.texts)[0], small_model.suspects(FRESH.texts)[0])


def test_a_model_of_the_first_format_has_no_prior(small_model: LinearModel, tmp_path: Path) -> None:
    save(replace(small_model, prior=500), tmp_path)
    assert load(tmp_path).prior == 500
    _edit(tmp_path, format=1)
    again = load(tmp_path)
    assert again.prior == 0
    assert np.array_equal(again.margins(FRESH.texts), small_model.margins(FRESH.texts))


def test_a_prior_softens_short_texts_most(small: Labelled) -> None:
    """Scores of the same texts, short and thrice as long, by models without and with it."""
    shorter = pa.array([f"{a}{b}" for a in ("下注", "刷单", "早餐") for b in ("彩金", "垫付", "天气")])
    longer = pa.array([text * 3 for text in shorter.to_pylist()])
    plain, soft = (train(small.texts, small.labels, TrainOptions(prior=prior)).model for prior in (0.0, 400.0))

    def strength(model: LinearModel, texts: pa.StringArray) -> float:
        return float(np.abs(model.margins(texts) - model.bias).mean())

    assert soft.prior > 0
    assert strength(soft, shorter) / strength(soft, longer) < 0.9 * strength(plain, shorter) / strength(plain, longer)


LABELS = ["abuse", "abuse/hostility", "fraud", "none"]


def test_a_label_apart_does_not_count_for_the_others() -> None:
    rows = np.array([[0.3, 0.6, 0.05, 0.05], [0.6, 0.1, 0.2, 0.1], [0.0, 0.97, 0.02, 0.01], [0.0, 0.0, 0.1, 0.9]])
    limits = {"abuse": 0.7, "fraud": 0.7, "abuse/hostility": 0.98}
    together = decide(rows, LABELS, "none", limits)
    assert together.illegal.tolist() == [False, True, True, False]
    aside = decide(rows, LABELS, "none", limits, ("abuse/hostility",))
    assert aside.illegal.tolist() == [False, True, True, False]
    assert aside.label.tolist() == [0, 0, 1, 2]
    assert np.allclose(aside.score, [0.35, 0.8, 0.99, 0.1])
    strict = decide(rows, LABELS, "none", {**limits, "abuse/hostility": 0.995}, ("abuse/hostility",))
    assert strict.illegal.tolist() == [False, True, False, False]


def test_a_shared_rate_is_one_threshold_that_labels_apart_do_not_have() -> None:
    rng = np.random.default_rng(0)
    rows = rng.dirichlet([0.4, 0.4, 0.4, 2.0], 4000)
    truth = np.full(4000, 3)
    options = TrainOptions(shared_rate=0.01, apart=("abuse/hostility",))
    limits = choose_thresholds(rows, truth, LABELS, "none", options)
    assert limits["abuse"] == limits["fraud"] < limits["abuse/hostility"] == MOST_THRESHOLD
    found = decide(rows, LABELS, "none", limits, options.apart)
    assert 0.005 < (found.illegal & (found.label != 1)).mean() <= 0.01


def test_without_a_rate_the_likelier_is_found(small: Labelled, small_model: LinearModel) -> None:
    model = train(small.texts, small.labels, TrainOptions(bits=12, false_alarm_rate=None)).model
    assert set(model.thresholds.values()) == {EVEN_THRESHOLD}
    assert set(model.thresholds) == set(small.labels) - {"none"}
    found = ModelDetector(model).detect(FRESH.texts).column("row").to_pylist()
    likelier = model.probabilities(FRESH.texts)[:, model.none_index] <= EVEN_THRESHOLD
    assert set(found) == set(np.flatnonzero(likelier).tolist())


def test_one_odd_finding_opens_the_gate_only_where_findings_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detectors.model.train._GATE_SKIPS", 10)
    for count, stands_at in ((9, 4.0), (10, 0.5)):
        none = np.full(count, 0.5)
        none[3] = 4.0
        margins = np.column_stack([np.full(count, 5.0), none])
        probabilities = np.tile([0.9, 0.1], (count, 1))
        assert _gate(margins, probabilities, {"fraud": 0.8}, ["fraud", "none"], ()) == stands_at + _GATE_ROOM


def test_the_gate_hides_no_finding(small_model: LinearModel) -> None:
    rows, _ = small_model.suspects(FRESH.texts)
    whole = decide(small_model.probabilities(FRESH.texts), small_model.labels, "none", small_model.thresholds)
    assert set(np.flatnonzero(whole.illegal)) <= set(rows.tolist())
    assert len(rows) < len(FRESH.labels)


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "model.npz").unlink(),
        lambda f: (f / "model.json").unlink(),
        lambda f: (f / "model.json").write_text("{"),
        lambda f: (f / "model.json").write_text("[]"),
        lambda f: (f / "model.json").write_bytes(b"\xff\xfe"),
        lambda f: (f / "model.npz").write_bytes((f / "model.npz").read_bytes()[:-9]),
        lambda f: _edit(f, format=99),
        lambda f: _edit(f, labels=["a"]),
        lambda f: _edit(f, labels=["a", "b", "none", "d"]),
        lambda f: _edit(f, bits=40),
        lambda f: _edit(f, bits=2),
        lambda f: _edit(f, scale=[1.0]),
        lambda f: _edit(f, calibration=[[1.0]]),
        lambda f: _edit(f, none_label="gone"),
        lambda f: _edit(f, thresholds=None),
        lambda f: _edit(f, scale=None),
        lambda f: _edit(f, apart=["none"]),
        lambda f: _edit(f, apart=["unknown"]),
        lambda f: _edit(f, apart=None),
        lambda f: _edit(f, prior=-1),
        lambda f: _edit(f, prior=10**9),
        lambda f: _edit(f, prior="much"),
        lambda f: _edit(f, idf_step=0),
        lambda f: _edit(f, idf_step=float("inf")),
        lambda f: _edit(f, gate=float("nan")),
        lambda f: _edit(f, scale=[float("nan")] * 3),
        lambda f: _edit(f, thresholds={"gambling": float("nan")}),
        lambda f: _edit(f, thresholds={"gone": 0.5}),
        lambda f: (f / "model.json").write_text("[" * 100_000),
        lambda f: _swell(f, 65),
    ],
)
def test_a_damaged_model_is_refused(damage, small_model: LinearModel, tmp_path: Path) -> None:
    save(small_model, tmp_path)
    damage(tmp_path)
    with pytest.raises(ModelFileError, match="model in"):
        load(tmp_path)


def _edit(folder: Path, **values: object) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def _swell(folder: Path, pieces: int) -> None:
    """Tables that unpack to pieces of 16 MiB, with the digest that belongs to them."""
    with (
        zipfile.ZipFile(folder / "model.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("weight.npy", "w", force_zip64=True) as entry,
    ):
        for _ in range(pieces):
            entry.write(bytes(16 << 20))
    _edit(folder, tables_sha256=hashlib.sha256((folder / "model.npz").read_bytes()).hexdigest())


def test_an_unwritable_folder_is_a_typed_error(small_model: LinearModel, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelWriteError):
        save(small_model, tmp_path / "file" / "m")


@pytest.mark.parametrize("labels", [["a"] * 12, ["a"] * 11 + ["b"], [str(n) for n in range(12)]])
def test_labels_that_cannot_train(labels: list[str]) -> None:
    with pytest.raises(TrainingDataError):
        train(pa.array(["文字"] * 12), labels)


def test_unknown_none_label(small: Labelled) -> None:
    with pytest.raises(TrainingDataError, match="正经"):
        train(small.texts, small.labels, TrainOptions(none_label="正经"))


def test_any_labels_and_no_harmless_one(small: Labelled) -> None:
    labels = [f"类别 {len(x)}" for x in small.labels]
    model = train(small.texts, labels, TrainOptions(bits=12)).model
    assert model.none_label is None
    assert model.gate is None
    found = ModelDetector(model).detect(small.texts)
    assert set(found.column("category").to_pylist()) <= set(labels)


def test_groups_are_never_split_between_folds(small: Labelled) -> None:
    groups = np.array([f"g{n % 12}" for n in range(len(small.labels))])
    assert train(small.texts, small.labels, TrainOptions(bits=12), groups=groups).model.labels
    with pytest.raises(TrainingDataError, match="group"):
        train(small.texts, small.labels, TrainOptions(bits=12), groups=np.array(small.labels))


def test_disguised_copies_help_where_nothing_folds(small: Labelled) -> None:
    plain = train_with_disguises(small, TrainOptions(bits=14, pinyin=False), 0)
    hardened = train_with_disguises(small, TrainOptions(bits=14, pinyin=False), 4)
    spelled = pa.array(disguise(FRESH.texts.to_pylist(), "pinyin", seed=5, rate=1.0))
    truth = np.array(FRESH.labels)
    before, after = ((np.array(m.labels)[m.margins(spelled).argmax(axis=1)] == truth).mean() for m in (plain, hardened))
    assert after > before


def test_the_explanation_names_what_speaks(small_model: LinearModel) -> None:
    text = "今天一起去看👀百.家.乐，注册送彩金"
    evidence = explain(small_model, text, "gambling")
    assert evidence
    assert all(text[e.start : e.end] == e.text for e in evidence)
    assert any("百" in e.text or "彩金" in e.text for e in evidence[:3])
    assert [e.weight for e in evidence] == sorted((e.weight for e in evidence), reverse=True)
    assert explain(small_model, "", "gambling") == []


def test_findings_follow_the_schema_and_cut_the_original(small_model: LinearModel) -> None:
    detector = ModelDetector(small_model)
    assert isinstance(detector, Detector)
    texts = ["早餐好吃", None, "", "👨‍👩‍👧来玩百·家·乐下注送彩金返水", "刷单日结佣金做任务"]
    found = detector.detect(pa.array(texts, pa.string()))
    assert found.schema == FINDING_SCHEMA
    rows = found.to_pylist()
    assert [(r["row"], r["rule"]) for r in rows] == [(3, "model:gambling"), (4, "model:fraud")]
    for r in rows:
        assert r["matched"] == texts[r["row"]][r["start"] : r["end"]]
        assert 0 < r["score"] <= 1
        assert r["version"] == small_model.version
    assert "百" in rows[0]["matched"] or "下注" in rows[0]["matched"]
    assert detector.detect(pa.array([], pa.string())).num_rows == 0
    assert ModelDetector(small_model, {"gambling": 1.1, "fraud": 1.1}).detect(pa.array(texts)).num_rows == 0


def test_a_span_without_evidence_is_the_whole_text(small_model: LinearModel) -> None:
    assert strongest_spans(small_model, pa.array(["𠮷𠮷", ""]), np.array([0, 0])) == [(0, 2), (0, 0)]


def test_held_out_rows_stay_held_out() -> None:
    data = small_set(400)
    more = Labelled(pa.concat_arrays([data.texts, pa.array(["新的一条"])]), [*data.labels, "none"], None)
    first, second = hold_out(data), hold_out(more)
    assert set(first.held_out.texts.to_pylist()) <= set(second.held_out.texts.to_pylist())
    assert not set(first.train.texts.to_pylist()) & set(first.held_out.texts.to_pylist())
    with pytest.raises(TrainingDataError, match="too few"):
        hold_out(small_set(30))


def test_a_row_is_held_out_whatever_stands_beside_it() -> None:
    data = small_set(400)
    tickets = Labelled(
        pa.array([f"工单 {n}" for n in range(40)]), ["none"] * 40, np.array([f"c{n}" for n in range(40)])
    )
    alone = set(hold_out(data).held_out.texts.to_pylist())
    shifted = data.take(np.arange(len(data.labels))[::-1])
    for parts in ([data, tickets], [tickets, data], [shifted, tickets]):
        beside = set(hold_out(joined(parts)).held_out.texts.to_pylist())
        assert {text for text in beside if not text.startswith("工单")} == alone
    # The same words in two sources are never on both sides.
    both = hold_out(joined([data, data.take(np.arange(50))]))
    assert not set(both.train.texts.to_pylist()) & set(both.held_out.texts.to_pylist())


def test_a_worse_model_is_refused(small_model: LinearModel) -> None:
    good = evaluate(small_model, FRESH.texts, FRESH.labels, disguises=False)
    refuse_worse(good, good)
    with pytest.raises(WorseModelError, match="F1"):
        refuse_worse(dataclasses.replace(good, macro_f1=good.macro_f1 - 0.02), good)
    with pytest.raises(WorseModelError, match="false alarms"):
        refuse_worse(dataclasses.replace(good, false_alarms=0.5), good)
    with pytest.raises(WorseModelError, match="false alarms"):
        refuse_worse(
            dataclasses.replace(good, harmless_false_alarms=0.5), dataclasses.replace(good, harmless_false_alarms=0.1)
        )


def test_installing_keeps_every_version(small: Labelled, small_model: LinearModel, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    assert installed(folder) is None
    first = install(small_model, folder)
    assert installed(folder) == first
    other = train(small.texts, small.labels, TrainOptions(bits=11)).model
    second = install(other, folder)
    assert installed(folder) == second != first
    assert install(small_model, folder) == first == installed(folder)
    assert load(first).version == small_model.version
    assert load(second).version == other.version
    (folder / "current").write_text("../../etc")
    with pytest.raises(ModelFileError):
        installed(folder)
