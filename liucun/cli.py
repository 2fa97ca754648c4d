"""The command line: finds commands by file, prints errors, sets exit codes.

A command lives in ``liucun/commands/NAME.py`` (``-`` in its name as ``_``) as the
click command ``command``, and is imported only when it is asked for, so that
``liucun due`` does not load a streaming engine.
"""

from __future__ import annotations

import json
import os
import pkgutil
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import click

import liucun.commands
from errors import LiucunError, UsageError

DEFAULT_STORE = "./liucun-store"

_SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Take in 采集", ("init", "run", "sample", "detect", "worker", "serve")),
    ("Ask and prove 查询与证明", ("query", "audit", "prove", "verify", "disclose", "requests")),
    ("Dispose and report 处置与上报", ("tickets", "review", "due", "calendar", "duties")),
    (
        "Keep and destroy 留存与销毁",
        ("retention", "hold", "purge", "restrict", "compact", "backup", "restore", "catalogue", "keys"),
    ),
    ("Rules and models 规则与模型", ("rules", "model")),
    ("Look after 运维", ("doctor", "bench", "index")),
)


class CommandFiles(click.Group):
    """A group whose commands are the modules of ``liucun.commands``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(
            m.name.replace("_", "-")
            for m in pkgutil.iter_modules(liucun.commands.__path__)
            if not m.name.startswith("_")
        )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        found = import_module(f"liucun.commands.{cmd_name.replace('-', '_')}").command
        assert isinstance(found, click.Command)
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for word in args:
            _check_text(word)
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        names = self.list_commands(ctx)
        placed = {name for _, section in _SECTIONS for name in section}
        sections = [*_SECTIONS, ("Other", tuple(n for n in names if n not in placed))]
        for title, section in sections:
            rows = [(n, c.get_short_help_str(80)) for n in section if n in names and (c := self.get_command(ctx, n))]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _check_text(word: str) -> None:
    """Refuse bytes that are no UTF-8, which no record can hold; a file that is there may be called so.

    Raises:
        UsageError: naming the word.
    """
    try:
        word.encode("utf-8")
    except UnicodeEncodeError as error:
        if os.path.lexists(word) or os.path.lexists(word.partition("=")[2]):
            return
        shown = word.encode("utf-8", "backslashreplace").decode()[:80]
        raise UsageError(f"{shown!r} is no text in UTF-8.", cure="Write it in UTF-8; check the terminal.") from error


@click.group(cls=CommandFiles, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="liucun")
def main_group() -> None:
    """Liucun 留存: keep a platform's logs sealed and complete, find illegal content, dispose of it in time.

    Start with `liucun init`, then `liucun run --source CLASS:FORMAT:GLOB`.
    """


def store_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--store DIR`` (parameter ``store``, a Path; default ``$LIUCUN_STORE``, else ``./liucun-store``)."""
    return click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=True),
        default=lambda: Path(os.environ.get("LIUCUN_STORE") or DEFAULT_STORE),
        show_default="$LIUCUN_STORE, else ./liucun-store",
        help="The store's folder.",
    )(function)


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json`` (parameter ``as_json``)."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def print_json(value: object) -> None:
    """Print one JSON value on standard output, with Chinese as it is."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def parse_pairs(pairs: tuple[str, ...], option: str) -> dict[str, str]:
    """Read repeated ``KEY=VALUE`` options.

    Raises:
        UsageError: one has no ``=``, an empty side, or a key given twice.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, sep, value = pair.partition("=")
        if not sep or not key or not value:
            raise UsageError(
                f"{option} {pair!r} is not of the form NAME=VALUE.", cure=f"Write it as {option} NAME=VALUE."
            )
        if key in found:
            raise UsageError(f"{option} gives {key!r} twice.", cure="Keep one of the two.")
        found[key] = value
    return found


def report(error: LiucunError) -> NoReturn:
    """Print an error of the tree and leave with its exit code."""
    from liucun.watching.logs import log_failure

    if log_failure(error):
        sys.exit(error.exit_code)
    click.echo(f"liucun: {error.what}", err=True)
    click.echo(f"  what to do: {error.cure}", err=True)
    sys.exit(error.exit_code)


def main() -> NoReturn:
    """Entry point of the ``liucun`` program."""
    try:
        main_group.main(standalone_mode=False)
    except LiucunError as error:
        report(error)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        click.echo("liucun: interrupted; what was committed stays, the rest is done by the next run.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe has gone (`liucun query … | head`); leave without a second error at shutdown.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(0)
