"""The page on records names everything there is, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipelines.decode.reasons import Code, Reason
from pipelines.sources.spec import FORMATS
from retention.schema import RECORD_SCHEMA, Flag

PAGE = (Path(__file__).parents[3] / "docs" / "records.md").read_text(encoding="utf-8")


def table(title: str) -> list[str]:
    """First cells of the table under a heading."""
    section = re.split(r"^## ", PAGE, flags=re.M)
    body = next(part for part in section if part.startswith(title + "\n"))
    return re.findall(r"^\| `([^`]+)` \|", body, flags=re.M)


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Formats", list(FORMATS)),
        ("Columns", RECORD_SCHEMA.names),
        ("Flags", list(Flag)),
        ("Reasons in `unparsed`", list(Reason)),
    ],
)
def test_tables_are_complete(title: str, names: list[str]) -> None:
    assert table(title) == [str(name) for name in names]


def test_every_reason_has_a_code_and_a_sentence() -> None:
    assert {code.reason for code in Code if code} == set(Reason)
    assert all(reason.message.endswith(".") for reason in Reason)
