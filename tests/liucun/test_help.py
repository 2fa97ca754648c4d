"""Every command and option is documented in docs/cli.md, and its help reads as a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from liucun.cli import main_group

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from walk(found, (*path, name))
    else:
        yield " ".join(path), command


COMMANDS = dict(walk(main_group))


def section(path: str) -> str:
    found = re.search(rf"^#+ `liucun {re.escape(path)}[ `].*?(?=^## |^### |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/cli.md has no section of `liucun {path}`"
    return found[0]


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_is_documented_and_explained(path: str) -> None:
    text = section(path)
    for parameter in COMMANDS[path].params:
        if isinstance(parameter, click.Option) and parameter.name != "store":
            assert parameter.help, f"{path} {parameter.opts} has no help"
            for option in (*parameter.opts, *parameter.secondary_opts):
                if option.startswith("--"):
                    assert option in text, f"{option} of `liucun {path}` is not in docs/cli.md"


@pytest.mark.parametrize("path", COMMANDS)
def test_no_section_documents_an_option_that_is_not_there(path: str) -> None:
    known = {o for p in COMMANDS[path].params for o in (*p.opts, *p.secondary_opts)}
    for row in re.findall(r"^\| `(--[^`]+)` \|", section(path), re.MULTILINE):
        assert set(row.split("/")) <= known


@pytest.mark.parametrize("path", COMMANDS)
def test_help_begins_with_a_sentence(path: str) -> None:
    command = COMMANDS[path]
    assert command.help, f"`liucun {path}` has no help"
    first = command.help.replace("\b", "").strip().split("\n\n")[0]
    assert first[0].isupper()
    assert first.endswith((".", "。", ":"))


def test_every_section_is_a_command() -> None:
    for path in re.findall(r"^### `liucun ([a-z -]+?)(?: [A-Z\[].*)?`$", PAGE, re.MULTILINE):
        assert path in COMMANDS


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_readme_s_commands_and_links_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    tops = {path.split()[0] for path in COMMANDS}
    for line in re.findall(r"^\$ liucun ([a-z]+)(?: ([a-z]+))?", text, re.MULTILINE):
        assert line[0] in tops
        assert line[0] not in {"tickets", "audit", "calendar"} or " ".join(line) in COMMANDS
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / link).exists(), f"{page} links to {link}, which is not there"
