"""Commands, a store's own rules, logs and runs for the tests of ``liucun rules``."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from liucun.cli import main
from liucun.rule_layers import layers_at
from liucun.store import OpenStore, open_store
from pipelines.job import Job, JobOptions
from pipelines.rules_in_force import JobRules
from pipelines.sources.spec import parse_spec
from retention.catalogue.tables import events

OWN = "id,category,words,hits,state\n"


def liucun(*args: object, store: Path | None = None, code: int = 0) -> Any:
    """Run a command as the program does; its JSON where it prints any, else its text."""
    where = ["--store", str(store)] if store else []
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as left,
    ):
        patch.setattr(sys, "argv", ["liucun", *map(str, args), *where])
        main()
    assert left.value.code == code, out.getvalue() + err.getvalue()
    return json.loads(out.getvalue()) if "--json" in args else out.getvalue() + err.getvalue()


def own(store: Path, *rows: str) -> None:
    (store / "rules" / "own.csv").write_text(OWN + "".join(row + "\n" for row in rows), encoding="utf-8")


def line(number: int, text: str, hour: int = 10) -> str:
    return json.dumps(
        {"event_time": f"2026-11-20T{hour:02}:00:00+08:00", "content_id": f"c{number}", "text": text},
        ensure_ascii=False,
    )


def run(store: Path, logs: Path, **options: Any) -> Job:
    with open_store(store, ()) as opened:
        job = Job(
            opened.store,
            [parse_spec(f"content:ndjson:{logs}", published=True)],
            JobOptions(rules=JobRules.load(layers_at(store), opened.catalogue), **options),
        )
        job.run()
        return job


def recorded(opened: OpenStore, kind: str) -> list[tuple[str, dict[str, Any]]]:
    with opened.catalogue.read() as connection:
        rows = connection.execute(
            sa.select(events.c.subject, events.c.body).where(events.c.kind == kind).order_by(events.c.id)
        )
        return [(subject, json.loads(body)) for subject, body in rows]
