"""Tables on paper: nothing is set below the edge of the page, and small rows stay whole."""

from __future__ import annotations

import io
import random
from datetime import UTC, datetime
from typing import Any

import pypdf
import pytest

from retention.printing.blocks import Block, Document, Grid, Pairs
from retention.printing.pdf import write_pdf
from retention.printing.rows import break_grid, break_pairs

AT = datetime(2026, 11, 27, tzinfo=UTC)


def heights(block: Block, watermark: str = "") -> list[float]:
    """The heights above the page's lower edge, in points, at which text stands."""
    found: list[float] = []

    def seen(text: str, matrix: Any, place: Any, _font: Any, _size: Any) -> None:
        if text.strip():
            found.append(matrix[5] + place[5] * (matrix[3] or 1))

    made = write_pdf(Document("t", "s", "f", "a", (block,), watermark=watermark), made_at=AT)
    for page in pypdf.PdfReader(io.BytesIO(made)).pages:
        page.extract_text(visitor_text=seen)
    return found


@pytest.mark.parametrize(
    "block",
    [
        Pairs((("原文", "很长的文字" * 2000),)),
        Pairs((("原文", "行\n" * 400),)),
        Pairs((("名\n" * 200, "x"),)),
        Grid(("a", "b"), (("字" * 450, "x"),), (1, 9)),
        Grid(("a", "b"), (("x\n" * 200, "y"),)),
        Grid(("a", "b", "c"), (("i" * 1400, "y", "字" * 6000),), (1, 2, 6)),
        Grid(("a", "b", "c"), (("i", "word " * 300, "字" * 400),)),
    ],
)
def test_nothing_is_set_below_the_edge_of_the_page(block: Block) -> None:
    assert min(heights(block)) > 20


def test_nor_of_rows_of_any_size() -> None:
    rng = random.Random(7)
    letters = ["字", "a", "W", " ", "\n", "。", "i"]
    rows = tuple(
        tuple("".join(rng.choices(letters, k=rng.choice((0, 3, 40, 200, 900)))) for _ in range(3)) for _ in range(60)
    )
    assert min(heights(Grid(("a", "b", "c"), rows, (1, 2, 4)))) > 20
    assert min(heights(Pairs(tuple(row[:2] for row in rows)))) > 20


def test_rows_that_surely_fit_are_kept_whole() -> None:
    small = ("名称", "一行\n两行\n三行")
    assert break_pairs([small, ("x", "很长的文字" * 400)], 10.5) == [False, True]
    assert break_grid([small, ("字" * 450, "x")], (1, 9), 9.0) == [False, True]
    assert break_grid([], (), 9.0) == []


def test_a_watermark_of_nothing_is_none() -> None:
    assert heights(Pairs((("a", "b"),)), watermark="\n\n")
