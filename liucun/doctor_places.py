"""`liucun doctor` on the servers that hold a store: what they promise is tried, not believed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

import sqlalchemy as sa

from errors import LiucunError
from retention.catalogue.engine import Catalogue
from retention.objects.base import ObjectStore
from retention.objects.local import LocalObjects
from retention.objects.probing import Probed, probe
from retention.transparency import merkle
from retention.transparency.custodian import forked, rolled_back
from retention.transparency.keeping import LogKeeper
from retention.transparency.log import nodes_of, state_of

Seen = tuple[Literal["ok", "note", "failed"], str, str]
"""Level, what was seen, what to do."""

_CURES: Final = {
    "create-only put": "Do not run on this server: two writers could overwrite each other's objects.",
    "versions": "Switch versioning on: without it an overwritten object is gone.",
    "object lock": "Make the bucket with object lock where nobody may be able to delete before the day.",
    "legal hold": "Make the bucket with object lock where nobody may be able to delete before the day.",
}


def storage_promises(objects: ObjectStore) -> Iterator[Seen]:
    """Try what the archive asks of its object storage; a local folder is tried by every write."""
    if isinstance(objects, LocalObjects):
        return
    for item in probe(objects):
        yield _level(item), f"{item.promise}: {item.seen}", "" if item.kept else _CURES[item.promise]


def custodian_facts(log: LogKeeper) -> Iterator[Seen]:
    """Whether a second custodian is set, answers, and has seen this log."""
    custodian = log.custodian()
    if custodian is None:
        yield (
            "note",
            "no second custodian 未设第二保管人: audits say anchored: false",
            "Name a place of another administrator in [custodian] checkpoints (docs/custody.md).",
        )
        return
    try:
        newest = custodian.newest()
        seen = 0 if newest is None else newest.checkpoint.size
        with log.catalogue.read() as connection:
            state = state_of(connection)
            if seen > state.size:
                raise rolled_back(custodian.name, seen, state.size)
            root = merkle.range_root(log.suite.hash, nodes_of(connection), 0, seen)
        if newest is not None and root != newest.checkpoint.root:
            raise forked(custodian.name, seen)
    except LiucunError as error:
        yield "failed", error.what, error.cure
        return
    yield "ok", f"{custodian.name} has seen {seen:,} of {state.size:,} log entries 第二保管人已见", ""


def database_facts(catalogue: Catalogue) -> Iterator[Seen]:
    """What a PostgreSQL server says of its durability and its connection."""
    if catalogue.engine.dialect.name != "postgresql":
        return
    with catalogue.read() as connection:
        facts = {
            name: str(connection.execute(sa.select(sa.func.current_setting(name))).scalar_one())
            for name in ("server_version", "fsync", "full_page_writes", "server_encoding")
        }
        encrypted = connection.execute(
            sa.text("SELECT coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)")
        ).scalar_one()
    yield "ok", f"PostgreSQL {facts['server_version']}, TLS {'on' if encrypted else 'off'}", ""
    for name in ("fsync", "full_page_writes"):
        if facts[name] != "on":
            yield (
                "failed",
                f"PostgreSQL runs with {name} = {facts[name]}",
                "Switch it on: a power cut may lose commits.",
            )
    if facts["server_encoding"] != "UTF8":
        yield "failed", f"The database is encoded as {facts['server_encoding']}", "Make it anew with encoding UTF8."


def _level(item: Probed) -> Literal["ok", "note", "failed"]:
    if item.kept:
        return "ok"
    return "failed" if item.needed else "note"
