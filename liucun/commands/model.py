"""``liucun model``: train the learned detector from labelled data, and measure it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from errors import SettingsError, UsageError
from liucun.cli import json_option, print_json, store_option

if TYPE_CHECKING:
    from detectors.model.evaluate import Evaluation
    from detectors.model.labelled import Labelled
    from detectors.model.linear import LinearModel

MODELS = "models"
"""Folder of a store's installed models."""


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
        click.option("--data", type=path, required=True, metavar="CSV", help="Labelled texts, UTF-8, .gz too."),
    ):
        function = option(function)
    return function


@command.command(name="train", short_help="Train a model from labelled CSV.")
@_data_options
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
    default=0.002,
    show_default=True,
    help="Share of harmless texts that each label may take.",
)
@click.option(
    "--install", "do_install", is_flag=True, help="Put the model in use, unless it is worse than the present."
)
@store_option
@json_option
def train_command(
    data: Path,
    text_column: str,
    label_column: str,
    group_column: str | None,
    harmless: Path | None,
    no_disguises: bool,
    out: Path | None,
    none_label: str | None,
    disguised_copies: int,
    false_alarm_rate: float,
    do_install: bool,
    store: Path,
    as_json: bool,
) -> None:
    """Train a model 训练模型 from a CSV of texts and labels, any labels.

    \b
    liucun model train --data decisions.csv --out my-model
    liucun model train --data decisions.csv --harmless reviews.csv --install

    The figures shown are of rows that the measured model had not seen: with --install an eighth of
    the rows, always the same ones, is held out and compared with the model in use; a worse one is refused
    (exit 1). Without it, a fifth is held out for measuring and the written model is trained on all rows.
    """
    from detectors.model.evaluate import evaluate
    from detectors.model.files import save
    from detectors.model.install import hold_out, install, measuring_split, refuse_worse
    from detectors.model.labelled import read_labelled, read_texts
    from detectors.model.train import TrainOptions, train_with_disguises

    if out is None and not do_install:
        raise UsageError("Neither --out nor --install is given.", cure="Say where the model goes: --out DIR.")
    if do_install and not (store / "liucun.toml").is_file():
        raise SettingsError(f"There is no store in {store}.", cure="Make one with `liucun init`, or name it: --store.")
    labelled = read_labelled(data, text_column, label_column, group_column)
    good = read_texts(harmless, text_column) if harmless else None
    options = TrainOptions(none_label=none_label, false_alarm_rate=false_alarm_rate)

    def fit(part: Labelled) -> LinearModel:
        return train_with_disguises(part, options, disguised_copies)

    def measure(model: LinearModel, part: Labelled) -> Evaluation:
        return evaluate(model, part.texts, part.labels, harmless=good, disguises=not no_disguises)

    shown: dict[str, object] = {"rows": len(labelled.labels), "rows_dropped": labelled.dropped}
    if do_install:
        split = hold_out(labelled)
        model = fit(split.train)
        figures = measure(model, split.held_out)
        folder = store / MODELS
        current = _current(folder)
        before = measure(current, split.held_out)
        shown["current"] = before.as_json()
    else:
        split = measuring_split(labelled)
        figures = measure(fit(split.train), split.held_out)
        model = fit(labelled)
    shown["evaluation"] = figures.as_json()
    if out is not None:
        save(model, out)
        shown["out"] = str(out)
    if not as_json:
        _print(figures)
    if do_install:
        refuse_worse(figures, before)
        shown["installed"] = str(install(model, folder))
    shown["model"] = model.version
    if as_json:
        print_json(shown)
        return
    if labelled.dropped:
        click.echo(f"{labelled.dropped} rows without text or label were left out.")
    click.echo(f"Model {model.version}" + (f" written to {out}." if out else " installed. 已启用。"))


@command.command(name="evaluate", short_help="Measure a model on labelled CSV.")
@_data_options
@click.option("--model", "folder", type=click.Path(path_type=Path), metavar="DIR", help="[default: the one in use]")
@store_option
@json_option
def evaluate_command(
    data: Path,
    text_column: str,
    label_column: str,
    group_column: str | None,
    harmless: Path | None,
    no_disguises: bool,
    folder: Path | None,
    store: Path,
    as_json: bool,
) -> None:
    """Measure a model 评估模型: by class, on harmless text, calibration, and under each disguise."""
    from detectors.model.evaluate import evaluate
    from detectors.model.files import load
    from detectors.model.labelled import read_labelled, read_texts

    model = load(folder) if folder else _current(store / MODELS)
    labelled = read_labelled(data, text_column, label_column, group_column)
    good = read_texts(harmless, text_column) if harmless else None
    figures = evaluate(model, labelled.texts, labelled.labels, harmless=good, disguises=not no_disguises)
    if as_json:
        print_json(figures.as_json())
    else:
        _print(figures)


def _current(folder: Path) -> LinearModel:
    from detectors.model import default_model
    from detectors.model.install import installed

    return default_model(installed(folder)).model


def _print(figures: Evaluation) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title=f"{figures.model}, {figures.rows:,} rows")
    for name in ("label 类别", "rows", "precision 精确率", "recall 召回率", "F1"):
        table.add_column(name, justify="left" if name.startswith("label") else "right")
    for one in figures.classes:
        table.add_row(one.label, f"{one.support:,}", f"{one.precision:.4f}", f"{one.recall:.4f}", f"{one.f1:.4f}")
    table.add_row("all 总计", f"{figures.rows:,}", "", f"accuracy {figures.accuracy:.4f}", f"{figures.macro_f1:.4f}")
    console.print(table)

    def line(name: str, value: float | None) -> None:
        if value is not None:
            console.print(f"{name}: {value:.2%}", highlight=False)

    line("Found at the thresholds 检出率", figures.recall)
    line("False alarms on harmless rows 误报率", figures.false_alarms)
    line(f"False alarms on {figures.harmless_rows:,} --harmless texts", figures.harmless_false_alarms)
    line("Calibration error 校准误差", figures.calibration_error)
    for name, value in figures.disguised.items():
        line(f"Found when disguised 变体检出率, {name}", value)
    if figures.unknown_labels:
        console.print(f"Labels the model does not know: {', '.join(figures.unknown_labels)}", highlight=False)
