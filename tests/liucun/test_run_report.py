"""What the summary of a run tells to do works as it stands there."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from liucun.cli import main_group
from liucun.settings import FILE_NAME


def test_what_is_not_read_and_not_scanned_is_named_as_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIUCUN_PASSPHRASE", "a passphrase of tests")
    monkeypatch.setenv("LIUCUN_STORE", str(tmp_path / "store"))

    def said(*words: str) -> str:
        result = CliRunner().invoke(main_group, list(words))
        assert result.exit_code == 0, result.output
        return result.output

    said("init")
    nowhere = f"{tmp_path}/gone [bold]/[red]x[/red].ndjson"
    shown = said("run", "--source", f"content:ndjson:{nowhere}")
    assert nowhere in shown, "a name is no markup, and is not broken in two"
    assert "(--published or --not-published)" in shown
    with (tmp_path / "store" / FILE_NAME).open("a", encoding="utf-8") as file:
        file.write(f'\n[[source]]\nname = "a"\nrecord_class = "content"\nformat = "ndjson"\npaths = ["{tmp_path}/a"]\n')
    shown = said("run")
    assert "whether `text` of a is public (`published` in liucun.toml)." in shown
    assert "--published" not in shown, "it is refused for a declared source"
