"""The settings file: strict, every field documented, every damage a typed error."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from errors import SettingsError
from liucun.settings import FILE_NAME, TEMPLATE, RunSettings, read_settings
from pipelines.sources.spec import SourceSpec
from retention.keys.settings import KeySettings
from retention.search.settings import SearchSettings
from retention.store import ArchiveSettings

DOCS = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("model", [ArchiveSettings, KeySettings, RunSettings, SearchSettings, SourceSpec])
def test_every_field_is_documented(model: type[BaseModel]) -> None:
    assert [name for name in model.model_fields if f"`{name}`" not in DOCS] == []


def test_the_template_is_valid(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(TEMPLATE.format(suite="AES-256-GCM-SHA256"), encoding="utf-8")
    assert read_settings(tmp_path).archive.suite == "AES-256-GCM-SHA256"


def test_the_template_s_example_source_is_valid(tmp_path: Path) -> None:
    head, _, example = TEMPLATE.format(suite="SM4-GCM-SM3").partition("# [[source]]")
    lines = [line.removeprefix("# ") for line in ("# [[source]]" + example).splitlines()]
    (tmp_path / FILE_NAME).write_text(head + "\n".join(lines), encoding="utf-8")
    (source,) = read_settings(tmp_path).source
    assert source.name == "shop-orders"
    assert source.published == {"text": True}


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "format"),
        (b"format = 2\n", "format"),
        (b"format = 1\n[archive]\nsuite = 'ROT13'\n", "archive.suite"),
        (b"format = 1\n[arkive]\n", "arkive"),
        (b"format = 1\n[run]\nbatch_megabytes = 0\n", "run.batch_megabytes"),
        (b"format = 1\n[[source]]\nname='a'\nrecord_class='content'\nformat='csv'\npaths=[]\n", "paths"),
        (b"format = 1\n[[source]]\nname='A B'\nrecord_class='content'\nformat='csv'\npaths=['x']\n", "name"),
        (
            b"format = 1\n[[source]]\nname='a'\nrecord_class='content'\nformat='csv'\npaths=['x']\n"
            b"time_zone='Mars/Olympus'\n",
            "Mars/Olympus",
        ),
        (
            b"format = 1\n" + b"[[source]]\nname='a'\nrecord_class='content'\nformat='csv'\npaths=['x']\n" * 2,
            "declared twice: a",
        ),
        (b"format = 1\n= 3", "not valid TOML"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"format = 1\n#" + b"x" * (1 << 20), "larger than 1 MiB"),
    ],
)
def test_damage_is_named(tmp_path: Path, content: bytes, word: str) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(SettingsError, match=word) as caught:
        read_settings(tmp_path)
    assert caught.value.exit_code == 3
    assert caught.value.cure


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[arkive]\n", "arkive: there is no such section"),
        ("[run]\nbatch_megabyte = 8\n", "run.batch_megabyte: there is no such field"),
        ("[run]\nbatch_megabytes = 'many'\n", "run.batch_megabytes: it must be a whole number, and is 'many'"),
        ("run = 3\n", "run: it must be a section, and is 3"),
        ("[detect]\npacks = 'rules'\n", "detect.packs: it must be a list in square brackets, and is 'rules'"),
        ("[[source]]\nname = 'a'\nformat = 'csv'\npaths = ['x']\n", "source[a].record_class: it is missing"),
        (
            "[[source]]\nname = 'a'\nrecord_class = 'content'\nformat = 'csv'\npaths = 'x'\n",
            "source[a].paths: it must be a list in square brackets, and is 'x'",
        ),
        (
            "[[source]]\nname = 'a'\nrecord_class = 'content'\nformat = 'xml'\npaths = ['x']\n",
            "source[a].format: it must be 'ndjson', 'csv', 'combined' or 'syslog', and is 'xml'",
        ),
        ("[[source]]\nname = 'A B'\n", "source[A B].name: 'A B' does not match the pattern ^[a-z0-9]"),
        ("[[source]]\nname = 3\n", "source[1].name: it must be a text in quotation marks, and is 3"),
        ("[tickets]\npolice = 'perhaps'\n", "tickets.police: it must be true or false, and is 'perhaps'"),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_the_file(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / FILE_NAME).write_text(f"format = 1\n{content}", encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        read_settings(tmp_path)
    assert words in str(raised.value)


def test_a_huge_value_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(f"format = 1\n[run]\nbatch_megabytes = '{'x' * 500_000}'\n", encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        read_settings(tmp_path)
    assert len(str(raised.value)) < 500


def test_no_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no store"):
        read_settings(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="not a folder"):
        read_settings(tmp_path / "file")
