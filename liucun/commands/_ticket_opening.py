"""``liucun tickets open``: what no text detector sees, opened by hand 人工立案."""

from __future__ import annotations

from pathlib import Path

import click

from errors import UsageError
from liucun.cli import json_option, store_option
from liucun.commands._ticket_desk import show_step
from liucun.times import read_time_given
from tickets.categories import categories
from tickets.states import Channel
from tickets.steps.opening import BY_HAND, ManualFinding

_MAX_FILE = 400_000


@click.command(name="open")
@store_option
@click.option(
    "--channel",
    type=click.Choice(sorted(c.value for c in BY_HAND)),
    required=True,
    help="complaint 举报, authority 主管部门通知, engine 识别引擎, human 人工巡查.",
)
@click.option("--category", required=True, help="Category, as in `liucun rules list`.")
@click.option("--subtype", help="Subtype.")
@click.option("--severity", type=click.IntRange(1, 4), default=3, show_default=True, help="1 low to 4 critical.")
@click.option("--text", help="What it says, or what was seen.")
@click.option("--text-file", type=click.Path(path_type=Path), help="The same from a file, UTF-8.")
@click.option("--content-id", help="The platform's id of the content.")
@click.option("--content-source", default="manual", show_default=True, help="Source that the id belongs to.")
@click.option("--account", help="Who published it.")
@click.option("--url", default="", help="Where it stands.")
@click.option("--reference", default="", help="Number of the complaint, order or job.")
@click.option("--engine", default="", help="Name of the engine.")
@click.option("--score", type=click.FloatRange(0, 1), default=1.0, help="The engine's score.")
@click.option("--reach", type=click.IntRange(0), default=0, help="Views and reposts.")
@click.option("--published-at", metavar="TIME", help="When it was published. [default: now]")
@click.option("--due", metavar="TIME", help="The authority's own deadline.")
@click.option("--blocked-at", metavar="TIME", help="When the platform blocked it by itself.")
@json_option
def open_command(
    store: Path,
    channel: str,
    category: str,
    subtype: str | None,
    severity: int,
    text: str | None,
    text_file: Path | None,
    content_id: str | None,
    content_source: str,
    account: str | None,
    url: str,
    reference: str,
    engine: str,
    score: float,
    reach: int,
    published_at: str | None,
    due: str | None,
    blocked_at: str | None,
    as_json: bool,
) -> None:
    """Open a ticket by hand 人工立案: complaints, orders of an authority, verdicts of image, video or audio engines."""
    if category not in categories():
        raise UsageError(f"There is no category {category!r}.", cure=f"There are {', '.join(categories())}.")
    finding = ManualFinding(
        channel=Channel(channel),
        category=category,
        text=_text(text, text_file),
        severity=severity,
        subtype=subtype,
        source=content_source,
        content_id=content_id,
        user_id=account,
        url=url,
        reference=reference,
        engine=engine,
        score=score,
        reach=reach,
        event_time=read_time_given(published_at),
        own_due_at=read_time_given(due),
        blocked_at=read_time_given(blocked_at),
    )
    show_step(store, as_json, lambda desk: desk.open_manual(finding))


def _text(text: str | None, file: Path | None) -> str:
    if (text is None) == (file is None):
        raise click.UsageError("Give either --text or --text-file.")
    if file is None:
        return text or ""
    try:
        if file.stat().st_size > _MAX_FILE:
            raise UsageError(f"{file} is larger than 400 kB.", cure="Give the part that matters.")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read as UTF-8 text.", cure="Check the file.") from error


COMMANDS = (open_command,)
