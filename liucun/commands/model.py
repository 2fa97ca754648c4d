"""``liucun model``: train the learned detector from labelled data, and measure it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from errors import SettingsError, UsageError
from liucun.cli import json_option, print_json, store_option
from liucun.commands._model_tables import print_evaluation, print_families, print_plans
from tickets.rights import Right

if TYPE_CHECKING:
    from detectors.model.evaluate import Evaluation
    from detectors.model.labelled import Labelled
    from detectors.model.linear import LinearModel

MODELS = "models"
"""Folder of a store's installed models."""
STREAM_RATE = 0.002
"""Share of harmless texts that each label of a model for the store's stream may take unless told otherwise."""


@click.group(name="model", short_help="Train the learned detector and measure it.")
def command() -> None:
    """Train and measure the learned detector 训练与评估检测模型."""


def _data_options(function: Callable[..., Any]) -> Callable[..., Any]:
    path = click.Path(path_type=Path)
    for option in (
        click.option("--no-disguises", is_flag=True, help="Leave out recall under each disguise."),
        click.option("--harmless", type=path, metavar="CSV", help="Harmless texts, to count false alarms on."),
        click.option("--group-column", metavar="NAME", help="Author or family: a group is never split."),
        click.option(
            "--label-column", default="label", show_default=True, metavar="NAME", help="Column of the labels."
        ),
        click.option("--text-column", default="text", show_default=True, metavar="NAME", help="Column of the texts."),
        click.option("--data", type=path, metavar="CSV", help="Labelled texts, UTF-8, .gz too."),
    ):
        function = option(function)
    return function


@command.command(name="train", short_help="Train a model from labelled CSV.")
@_data_options
@click.option("--decisions", is_flag=True, help="Train on the store's confirmed and dismissed tickets too.")
@click.option("--corpus", is_flag=True, help="Train on the project's own corpus too; it is never measured on.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where the model is written.")
@click.option("--none-label", metavar="LABEL", help='Label of harmless texts. [default: "none", "0", "不违规" …]')
@click.option(
    "--disguised-copies",
    type=click.IntRange(0, 8),
    default=0,
    show_default=True,
    help="Train on so many disguised copies of each illegal text too.",
)
@click.option(
    "--false-alarm-rate",
    type=click.FloatRange(0, 0.5),
    help="Share of harmless texts that each label may take. [default: 0.002 with --install or --decisions; without, "
    "what is likelier illegal than not is found]",
)
@click.option(
    "--install", "do_install", is_flag=True, help="Put the model in use, unless it is worse than the present."
)
@store_option
@json_option
def train_command(
    data: Path | None,
    text_column: str,
    label_column: str,
    group_column: str | None,
    harmless: Path | None,
    no_disguises: bool,
    decisions: bool,
    corpus: bool,
    out: Path | None,
    none_label: str | None,
    disguised_copies: int,
    false_alarm_rate: float | None,
    do_install: bool,
    store: Path,
    as_json: bool,
) -> None:
    """Train a model 训练模型 from a CSV of texts and labels, any labels, or from what reviewers decided.

    \b
    liucun model train --data posts.csv --out my-model
    liucun model train --decisions --corpus --harmless reviews.csv --install

    The figures shown are of rows that the measured model had not seen: with --install an eighth of
    the rows, always the same ones, is held out and compared with the model in use; a worse one is refused
    (exit 1). Without it, a fifth is held out for measuring and the written model is trained on all rows.
    Decided tickets have their category as label, dismissed ones and samples found harmless "none"; restricted
    accounts' are left out.

    What `liucun detect --model` then finds: with --false-alarm-rate, as little harmless text as it says; else, for a
    model that is only written, every text that is more likely illegal than not, under the labels of the CSV.
    """
    from detectors.model import comparing, versions
    from detectors.model.evaluate import evaluate
    from detectors.model.files import save
    from detectors.model.labelled import joined, read_labelled, read_texts
    from detectors.model.train import STREAM_PRIOR, TrainOptions, train_with_disguises

    _check_wants(data, decisions, do_install, out, store)
    shown: dict[str, object] = {}
    parts = [read_labelled(data, text_column, label_column, group_column)] if data else []
    if decisions:
        parts.append(_decided(store, shown))
    labelled = joined(parts)
    good = read_texts(harmless, text_column) if harmless else None
    if false_alarm_rate is None and (do_install or decisions):
        # Such a model meets a stream that is nearly all harmless; a labelled set by itself says what it wants found.
        false_alarm_rate = STREAM_RATE
    prior = 0.0 if false_alarm_rate is None else STREAM_PRIOR
    options = TrainOptions(none_label=none_label, false_alarm_rate=false_alarm_rate, prior=prior)
    own = [_corpus()] if corpus else []

    def fit(part: Labelled) -> LinearModel:
        return train_with_disguises(joined([part, *own]), options, disguised_copies)

    def measure(model: LinearModel, part: Labelled) -> Evaluation:
        return evaluate(model, part.texts, part.labels, harmless=good, disguises=not no_disguises)

    shown |= {"rows": len(labelled.labels), "rows_dropped": labelled.dropped}
    if do_install:
        split = comparing.hold_out(labelled)
        model = fit(split.train)
        figures = measure(model, split.held_out)
        folder = store / MODELS
        current = _current(folder)
        before = measure(current, split.held_out)
        shown["current"] = before.as_json()
    else:
        split = comparing.measuring_split(labelled)
        figures = measure(fit(split.train), split.held_out)
        model = fit(labelled)
    shown["evaluation"] = figures.as_json()
    if out is not None:
        save(model, out)
        shown["out"] = str(out)
    if not as_json:
        print_evaluation(figures)
    if do_install:
        comparing.refuse_worse(figures, before)
        shown["installed"] = str(versions.install(model, folder))
    shown["model"] = model.version
    if as_json:
        print_json(shown)
        return
    if labelled.dropped:
        click.echo(f"{labelled.dropped} rows without text or label were left out.")
    if decisions:
        click.echo(f"Decided tickets 已研判工单: {shown['decisions']}")
    click.echo(f"Model {model.version}" + (f" written to {out}." if out else " installed. 已启用。"))


def _check_wants(data: Path | None, decisions: bool, do_install: bool, out: Path | None, store: Path) -> None:
    if out is None and not do_install:
        raise UsageError("Neither --out nor --install is given.", cure="Say where the model goes: --out DIR.")
    if data is None and not decisions:
        raise UsageError("There is nothing to train on.", cure="Give --data CSV, or --decisions for decided tickets.")
    if (do_install or decisions) and not (store / "liucun.toml").is_file():
        raise SettingsError(f"There is no store in {store}.", cure="Make one with `liucun init`, or name it: --store.")
    if do_install:
        from liucun.settings import read_settings
        from liucun.store import require_at

        require_at(store, read_settings(store), Right.RULES_WORK)


def _decided(store: Path, shown: dict[str, object]) -> Labelled:
    from liucun.decisions import reviewed
    from liucun.store import open_store

    with open_store(store, Right.RULES_WORK) as opened:
        found = reviewed(opened)
    shown["decisions"] = {
        "confirmed": found.confirmed, "dismissed": found.dismissed, "sampled": found.sampled,
        "restricted_left_out": found.restricted,
    }  # fmt: skip
    return found.labelled


def _corpus() -> Labelled:
    import numpy as np
    import pyarrow as pa

    from detectors.corpus.families import corpus
    from detectors.model.labelled import Labelled

    own = corpus()
    return Labelled(
        pa.array([one.text for one in own], pa.string()),
        [one.category for one in own],
        np.array([one.family for one in own], dtype=np.str_),
    )


@command.command(name="evaluate", short_help="Measure a model on labelled CSV.")
@_data_options
@click.option("--model", "folder", type=click.Path(path_type=Path), metavar="DIR", help="[default: the one in use]")
@click.option(
    "--families",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Train without a fifth of the corpus's families and measure on it; COLD, SWSR and reviews lie in FOLDER.",
)
@store_option
@json_option
def evaluate_command(
    data: Path | None,
    text_column: str,
    label_column: str,
    group_column: str | None,
    harmless: Path | None,
    no_disguises: bool,
    folder: Path | None,
    families: Path | None,
    store: Path,
    as_json: bool,
) -> None:
    """Measure a model 评估模型: by class, on harmless text, calibration, and under each disguise.

    With --families the detector that ships is measured, keywords and model, on template families of the
    project's corpus that were kept from training; this trains a model and takes minutes.
    """
    from detectors.model.evaluate import evaluate
    from detectors.model.files import load
    from detectors.model.labelled import read_labelled, read_texts

    if (data is None) == (families is None):
        raise UsageError(
            "One of --data and --families is to be given.",
            cure="Give --data CSV, or --families FOLDER for the corpus's held-out families.",
        )
    if families is not None:
        from detectors.default import default_keywords
        from detectors.model.heldout import measure_families

        report = measure_families(families, default_keywords())
        if as_json:
            print_json(report.as_json())
        else:
            print_families(report)
        return
    assert data is not None
    model = load(folder) if folder else _current(store / MODELS)
    labelled = read_labelled(data, text_column, label_column, group_column)
    good = read_texts(harmless, text_column) if harmless else None
    figures = evaluate(model, labelled.texts, labelled.labels, harmless=good, disguises=not no_disguises)
    if as_json:
        print_json(figures.as_json())
    else:
        print_evaluation(figures)


@command.command(name="queue", short_help="Set thresholds by the tickets that can be reviewed a day.")
@click.option("--daily-tickets", type=click.FloatRange(0), required=True, metavar="N", help="What reviewers can do.")
@click.option("--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="Measure the last N days.")
@click.option("--apply", "do_apply", is_flag=True, help="Put the thresholds in use.")
@store_option
@json_option
def queue_command(daily_tickets: float, days: int, do_apply: bool, store: Path, as_json: bool) -> None:
    """Share the day's tickets among categories 按预算定阈值, by how often reviewers confirmed what scored so high.

    Findings below a category's threshold are not dropped: they open tickets of the sampling queue 抽检,
    of the lowest severity, and are counted here.
    """
    from detectors.model.budget import plan_queue, write_queue
    from liucun.decisions import past_findings
    from liucun.store import open_store

    with open_store(store, Right.RULES_WORK) as opened:
        plans = plan_queue(past_findings(opened, days), daily_tickets)
        place = store / MODELS
        if do_apply:
            write_queue(plans, place)
    if as_json:
        print_json({"applied": do_apply, "plans": [asdict(plan) for plan in plans]})
        return
    print_plans(plans)
    if do_apply:
        click.echo(f"In use from the next run on 已启用: {place}.")


def _current(folder: Path) -> LinearModel:
    from detectors.model import default_model
    from detectors.model.versions import installed

    return default_model(installed(folder)).model
