"""Every command that changes or reveals anything asks for a right, and docs/rights.md says which; walked one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from console.access.tokens import issue
from console.labels import PERMISSIONS
from console.migrate import prepare_tables as prepare_console
from errors import NotPermittedError
from liucun.cli import main_group
from liucun.store import open_store
from retention.store import Store
from tests.console.conftest import make_account
from tickets.actors import Actor
from tickets.rights import GRANTS, OPERATING, Right, Role

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "rights.md").read_text("utf-8")
SECRET = "a passphrase of tests"
MORE = {
    "disclose export": ["--password-file", "file"],
    "disclose request": [
        "--class", "user_log", "--account", "u1", "--field", "source_ip", "--since", "2026-01-01",
        "--until", "2026-02-01",
    ],
    "hold add": ["--account", "u1"],
    "model train --decisions": ["--out", "new"],
    "model train --install": ["--data", "file"],
    "purge --approve": ["--digest", "00"],
    "purge --cancel": ["--reason", "x"],
    "query --restricted": ["--basis", "x"],
    "restrict": ["--ground", "x"],
    "restrict --lift": ["--ground", "x"],
    "review judge": ["--harmless"],
    "tickets appeal": ["--open", "x"],
    "tickets bulk": ["T1", "--reason", "x"],
    "tickets evidence --out": ["--purpose", "x"],
    "tickets open": ["--text", "x", "--category", "gambling"],
    "tickets reports export": ["--format", "pdf"],
    "tickets triage": ["--dismiss"],
}  # fmt: skip
"""What a command wants beside what it requires by itself."""


def table(head: str) -> list[list[str]]:
    """Rows of the page's table that begins with a line ``head``."""
    rows = []
    for line in PAGE[PAGE.index(head) :].splitlines()[2:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


GUARDED = [(names(row[0])[0], names(row[1])) for row in table("| command | needs |")]
FREE = {names(row[0])[0]: row[1] for row in table("| command | why |")}


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from leaves(found, (*path, name))
        else:
            yield " ".join((*path, name)), found


COMMANDS = dict(leaves(main_group))


def value(option: click.Parameter, folder: Path) -> str:
    """Something that an argument or option takes."""
    kind: Any = option.type
    if isinstance(kind, click.Choice):
        return str(kind.choices[0])
    if isinstance(kind, click.types.IntParamType | click.types.FloatParamType):
        return "3"
    if isinstance(kind, click.Path):
        if option.name == "folder":
            return str(folder / "elsewhere")
        return str(folder / ("new" if option.name in {"output", "target", "out"} else "file"))
    time = {"DATE": "2026-01-01", "TIME": "2026-01-01", "PERIOD": "P9Y"}
    return "2026-01-01" if option.name in {"start", "time"} else time.get(str(option.metavar), "x1")


def invocation(said: str, folder: Path) -> list[str]:
    """A call of a command as the page names it, filled up with what it requires."""
    name = next(" ".join(said.split()[:n]) for n in (3, 2, 1) if " ".join(said.split()[:n]) in COMMANDS)
    command, words = COMMANDS[name], said.removeprefix(name).split()
    chosen = {word: next(p for p in command.params if word in p.opts) for word in words}
    call = [*name.split()]
    for word, option in chosen.items():
        call += [word] if getattr(option, "is_flag", False) else [word, value(option, folder)]
    more = [str(folder / word) if word in {"file", "new"} else word for word in MORE.get(said, [])]
    given = set(chosen) | {word for word in more if word.startswith("--")}
    for option in command.params:
        if isinstance(option, click.Argument):
            if option.required or (name == "restrict" and "--list" not in chosen):
                call.append(value(option, folder))
        elif option.required and not given & set(option.opts):
            call += [option.opts[0], value(option, folder)]
    return [*call, *more]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store with an account, opened once for all calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIUCUN_PASSPHRASE", SECRET)
        folder = tmp_path_factory.mktemp("rights")
        (folder / "file").write_text("password-of-tests-1\n")
        root = folder / "store"
        patch.setenv("LIUCUN_STORE", str(root))
        patch.setenv("LIUCUN_ESCROW_PASSPHRASE", SECRET)
        patch.chdir(folder)
        assert CliRunner().invoke(main_group, ["init"]).exit_code == 0
        with open_store(root, ()) as opened:
            prepare_console(opened.catalogue)
            make_account(opened.catalogue, "ann", Role.REVIEWER)
            patch.setattr(Store, "open", staticmethod(lambda *_: nullcontext(opened.store)))
            yield root


def refused(call: list[str]) -> str:
    """What a call was refused for."""
    result = CliRunner().invoke(main_group, call)
    assert isinstance(result.exception, NotPermittedError), (call, result.exception, result.output)
    assert result.exception.exit_code == 9
    return str(result.exception)


def test_every_command_is_guarded_or_says_why_not() -> None:
    guarded = {next(" ".join(said.split()[:n]) for n in (3, 2, 1) if " ".join(said.split()[:n]) in COMMANDS)
               for said, _ in GUARDED}  # fmt: skip
    both = {"model train"}
    """Free from one's own file into one's own folder; what touches the store is guarded."""
    assert set(COMMANDS) - guarded - set(FREE) == set()
    assert guarded & set(FREE) == both
    assert set(FREE) <= set(COMMANDS)
    assert all(len(why) > 5 for why in FREE.values())


@pytest.mark.parametrize(("said", "rights"), GUARDED, ids=[said for said, _ in GUARDED])
def test_a_command_stops_when_one_of_its_rights_is_missing(
    store: Path, monkeypatch: pytest.MonkeyPatch, said: str, rights: list[str]
) -> None:
    call = invocation(said, store.parent)
    assert rights
    for right in rights:
        actor = Actor("user:ann", frozenset(Role), frozenset(Right) - {Right(right)})
        monkeypatch.setattr("liucun.store.acting_account", lambda _, actor=actor: actor)
        assert f"lacks the right {right}." in refused(call)


def test_the_page_shows_the_table_as_it_is() -> None:
    shown = {names(row[0])[0]: row[1:] for row in table("| right |")}
    assert list(shown) == [right.value for right in Right]
    for right in Right:
        holders = [*(right in GRANTS[role] for role in Role), right in OPERATING]
        assert shown[right.value] == [PERMISSIONS[right.value], *("✓" if holds else "" for holds in holders)], right


def test_a_token_does_what_it_was_made_for_and_no_more(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(store, ()) as opened:
        head = make_account(opened.catalogue, "hed", Role.COMPLIANCE_HEAD)
        token = issue(opened.catalogue, head, name="reads", days=1, permissions=[Right.RETENTION_READ])
    monkeypatch.setenv("LIUCUN_TOKEN", token)
    result = CliRunner().invoke(main_group, ["purge", "--list"])
    assert result.exit_code == 0, result.output
    assert "not made for it" in refused(["purge", "--plan", "over"])
    assert "lacks the right archive.query." in refused(["query", "SELECT 1", "--purpose", "a look"])


def test_once_there_are_accounts_the_local_user_runs_it_and_decides_nothing(store: Path) -> None:
    for call in (["compact"], ["audit", "coverage"], ["purge"], ["worker", "--once"], ["keys", "list"]):
        result = CliRunner().invoke(main_group, call)
        assert result.exit_code == 0, (call, result.exception, result.output)
    for call in (
        ["query", "SELECT 1", "--purpose", "a look"],
        ["hold", "list"],
        ["tickets", "list"],
        ["purge", "--plan", "over"],
    ):
        assert "The store has accounts" in refused(call)


def test_no_role_decides_alone_on_what_takes_two() -> None:
    for asks, approves in (
        (Right.RETENTION_PROPOSE, Right.RETENTION_APPROVE),
        (Right.DESTRUCTION_PLAN, Right.DESTRUCTION_APPROVE),
        (Right.DISCLOSURES_REQUEST, Right.DISCLOSURES_APPROVE),
    ):
        assert sum(asks in rights for rights in GRANTS.values()) > 1, "somebody else can ask"
        assert any(approves in rights for rights in GRANTS.values())
    assert not OPERATING & {
        right for right in Right if right.value.endswith((".approve", ".plan", ".place", ".release"))
    }
    assert Right.ARCHIVE_QUERY not in OPERATING


def test_the_page_lists_every_name_that_the_program_itself_acts_under() -> None:
    no_actors = {"log", "bodies", "evidence"}
    """Classes of keys and a source of records."""
    rooms = ("retention", "tickets", "pipelines", "console", "liucun")
    files = [file for room in rooms for file in (ROOT / room).rglob("*.py")]
    used = {name for file in files for name in re.findall(r'"system:([a-z]+)"', file.read_text(encoding="utf-8"))}
    listed = {name for row in table("| 名称 name |") for name in re.findall(r"system:([a-z]+)", row[0])}
    assert listed == used - no_actors
