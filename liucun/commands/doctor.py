"""``liucun doctor``: is everything in order to run?"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from liucun.cli import json_option, print_json, store_option
from liucun.doctor import examine

_MARKS = {"ok": "ok  正常", "note": "note 留意", "warning": "WARN 警告", "failed": "FAIL 故障"}


@click.command(name="doctor", short_help="Check settings, keys, clock, calendar, disk.")
@store_option
@json_option
def command(store: Path, as_json: bool) -> None:
    """Check settings, keys, crypto, catalogue, clock, calendar and disk 体检.

    Exits with the code of the first failure (settings 3, keys 4, storage 6), else 0. Works
    without a store, too.
    """
    findings = examine(store)
    if as_json:
        print_json({"ok": all(f.level != "failed" for f in findings), "checks": [asdict(f) for f in findings]})
    else:
        for finding in findings:
            click.echo(f"{_MARKS[finding.level]}  {finding.check}: {finding.what}")
            if finding.cure:
                click.echo(f"{'':11}what to do 处理: {finding.cure}")
    sys.exit(next((f.exit_code for f in findings if f.level == "failed"), 0))
