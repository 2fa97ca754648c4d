"""Measured models and queues as tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detectors.model.budget import QueuePlan
    from detectors.model.evaluate import Evaluation
    from detectors.model.heldout import HeldOutReport


def print_evaluation(figures: Evaluation) -> None:
    """One row a label, then the rates of the whole."""
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


def print_families(report: HeldOutReport) -> None:
    """Recall by category, by disguise, and false alarms."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title=f"{report.families:,} held-out families, {report.rows:,} texts 未见模板族")
    disguises = list(report.disguised)
    for name in ("category 类别", "families", "texts", "found 检出", "as itself 归类", *disguises):
        table.add_column(name, justify="left" if name.startswith("category") else "right")
    for one in report.categories:
        under = [f"{report.disguised_by_category[d][one.category]:.3f}" for d in disguises]
        table.add_row(one.category, f"{one.families}", f"{one.rows:,}", f"{one.recall:.3f}", f"{one.right:.3f}", *under)
    over = [f"{report.disguised[d]:.3f}" for d in disguises]
    table.add_row("all 总计", f"{report.families}", f"{report.rows:,}", f"{report.recall:.4f}", "", *over)
    console.print(table)
    for name, value in report.false_alarms.items():
        console.print(f"False alarms 误报率, {name}: {value:.3%}", highlight=False)
    console.print(report.detector, highlight=False)


def print_plans(plans: list[QueuePlan]) -> None:
    """One row a category of the queue."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Queue by budget 按预算分配")
    for name in (
        "category 类别",
        "threshold 阈值",
        "tickets a day 工单",
        "sampled a day 抽检",
        "precision 精确率",
        "reviewed",
    ):
        table.add_column(name, justify="left" if name.startswith("category") else "right")
    for plan in plans:
        shown = "–" if plan.threshold > 1 else f"{plan.threshold:.4f}"
        table.add_row(
            plan.category,
            shown,
            f"{plan.tickets:g}",
            f"{plan.sampled:g}",
            f"{plan.precision:.2f}",
            f"{plan.reviewed:,}",
        )
    Console().print(table)
