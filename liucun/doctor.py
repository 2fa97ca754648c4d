"""The checks of ``liucun doctor``: each looks at one thing and says what it saw, also where there is no store."""

from __future__ import annotations

import platform
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

import sqlalchemy as sa

from detectors.keywords.layers import read_layers
from detectors.keywords.rules import State
from errors import LiucunError
from liucun.calendar_file import calendar_of
from liucun.doctor_places import custodian_facts, database_facts, storage_promises
from liucun.key_statements import statements_of
from liucun.monitoring import declared_sources
from liucun.rule_layers import layers_of
from liucun.rule_layers import today as now_day
from liucun.store import ANYBODY, OpenStore, open_store
from pipelines.rules_in_force import rules_alarm, shadow_totals
from retention.catalogue.declarations import undeclared_fields
from retention.catalogue.migrate import version as table_version
from retention.catalogue.tables import batches, partitions, retired_segments, segments
from retention.crypto.sm2 import implementation as sm2_implementation
from retention.crypto.suites import suite
from retention.keys.administration import last_escrow
from retention.keys.keyring import KeyRing
from retention.keys.sm2_envelope import Sm2Envelope
from retention.objects.local import LocalObjects
from tickets.clocks import SHANGHAI

Level = Literal["ok", "note", "warning", "failed"]
LOW_DISK: Final = 5 << 30
LIBRARIES: Final = ("apache-beam", "pyarrow", "duckdb", "sqlalchemy", "cryptography", "hyperscan")
CALENDAR_ALARM: Final = (11, 1)
"""From this day on next year's calendar should be there: the State Council publishes it in about November."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check saw; ``cure`` where something is to be done."""

    check: str
    level: Level
    what: str
    cure: str = ""
    exit_code: int = 0


def examine(root: Path, *, now: datetime | None = None) -> list[Checked]:
    """Run every check; one that fails hides no other."""
    moment = now or datetime.now(UTC)
    return [*_program(), *_crypto(), *_calendar(root, moment), *_store(root, moment)]


def _program() -> Iterator[Checked]:
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    yield Checked("program 程序", "ok", f"liucun {version('liucun')}, Python {platform.python_version()}, {libraries}")


def _crypto() -> Iterator[Checked]:
    try:
        for name in ("SM4-GCM-SM3", "AES-256-GCM-SHA256"):
            yield Checked("crypto 密码", "ok", f"{name} by {suite(name).implementation}, self-test passed")
    except LiucunError as error:
        yield _failed("crypto 密码", error)
    yield Checked(
        "certification 认证", "note", "libgcrypt, cryptography, gmssl-pyx: uncertified software 软件密码未取得认证"
    )
    try:
        yield Checked("crypto 密码", "ok", f"SM2 by {sm2_implementation()}, self-test passed")
    except LiucunError as error:
        yield _failed("crypto 密码", error)


def _calendar(root: Path, now: datetime) -> Iterator[Checked]:
    try:
        calendar = calendar_of(root)
    except LiucunError as error:
        yield _failed("calendar 日历", error)
        return
    today = now.astimezone(SHANGHAI).date()
    horizon = calendar.verified_through
    said = f"version {calendar.version}, known through {horizon}"
    if horizon < today + timedelta(days=20) or (
        today >= date(today.year, *CALENDAR_ALARM) and horizon.year <= today.year
    ):
        yield Checked(
            "calendar 日历",
            "warning",
            f"{said}: due dates past it are provisional 暂定",
            "When the State Council's notice for next year is out: `liucun calendar import FILE`.",
        )
    else:
        yield Checked("calendar 日历", "ok", said)


def _store(root: Path, now: datetime) -> Iterator[Checked]:
    try:
        with open_store(root, ANYBODY) as opened:  # states and figures, no records and no names
            yield Checked("settings 设置", "ok", f"{len(opened.settings.source)} declared sources")
            yield from _keys(opened)
            yield from _catalogue(opened, now)
            yield from _objects(opened)
            yield from _places(opened)
            if opened.store.provider.description.can_unwrap:
                for level, seen, cure in custodian_facts(opened.store.log):
                    yield Checked("custodian 第二保管人", level, seen, cure, 5 if level == "failed" else 0)
            yield from _undeclared(opened)
            yield from _rules(opened)
    except LiucunError as error:
        yield _failed(f"store 留存库 {root}", error)
    yield from _disk(root)


def _keys(opened: OpenStore) -> Iterator[Checked]:
    who = opened.store.provider.description
    living = [key for key in opened.period_keys.list() if key.destroyed_at is None]
    yield Checked("keys 密钥", "ok", f"{who.kind}, key {who.key_id}, {who.detail}; {len(living)} living period keys")
    if not who.can_unwrap:
        yield Checked("keys 密钥", "note", "only the public key is here: this machine writes and cannot read 只写不读")
    for statement in statements_of(opened.store):
        yield Checked(
            "certification 认证",
            "ok" if statement.certified else "note",
            statement.words,
            "" if statement.certified else "Where certified products are required (许可证第15(2)条), use one for this.",
        )
    yield from _escrow(opened)


def _escrow(opened: OpenStore) -> Iterator[Checked]:
    provider = opened.store.provider
    if not isinstance(provider, KeyRing | Sm2Envelope) or not provider.description.can_unwrap:
        return
    last = last_escrow(opened.catalogue)
    held = last["key_ids"] if last else []
    missing = sorted(set(provider.key_ids) - set(held if isinstance(held, list) else []))
    if missing:
        yield Checked(
            "escrow 密钥托管",
            "warning",
            f"{len(missing)} of {len(provider.key_ids)} provider keys are with no second custodian",
            "If they are lost, nobody can read the archive again: `liucun keys export-escrow`.",
        )
    elif last:
        yield Checked("escrow 密钥托管", "ok", f"all provider keys, {last['at']}, for {last['recipient']}")


def _catalogue(opened: OpenStore, now: datetime) -> Iterator[Checked]:
    versions = ", ".join(f"{room} {table_version(opened.catalogue, room)}" for room in ("retention", "tickets"))
    with opened.catalogue.read() as connection:
        count = connection.execute(sa.select(sa.func.count()).select_from(segments)).scalar_one()
        newest = connection.execute(sa.select(sa.func.max(batches.c.committed_at))).scalar_one()
        known = connection.execute(sa.select(sa.func.count()).select_from(partitions)).scalar_one()
    yield Checked("catalogue 目录", "ok", f"tables {versions}; {count:,} segments from {known:,} partitions")
    if newest and datetime.fromisoformat(newest) > now + timedelta(minutes=5):
        yield Checked(
            "clock 时钟",
            "failed",
            f"the newest batch was committed at {newest}, after the present time of this machine",
            "Set the clock right before anything is archived or purged.",
            exit_code=1,
        )
    else:
        yield Checked("clock 时钟", "ok", f"{now.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S} Asia/Shanghai")


def _objects(opened: OpenStore) -> Iterator[Checked]:
    with opened.catalogue.read() as connection:
        named = set(connection.execute(sa.select(segments.c.object_name)).scalars())
        replaced = set(connection.execute(sa.select(retired_segments.c.object_name)).scalars())
    stored = set(opened.objects.list("segments/"))
    if missing := sorted(named - stored):
        yield Checked(
            "objects 对象",
            "failed",
            f"{len(missing):,} segments are missing, e.g. {missing[0]}",
            "Restore them from a backup; `liucun audit integrity` lists all.",
            exit_code=5,
        )
    left = len(stored - named - replaced)
    if isinstance(opened.objects, LocalObjects):
        left += len(opened.objects.leftovers(older_than=3600))
    if left:
        yield Checked(
            "orphans 孤儿对象", "note", f"{left:,} objects of runs that were cut off; `liucun compact` collects them"
        )
    if not missing:
        yield Checked("objects 对象", "ok", f"{len(named):,} of {len(named):,} segments are there")


def _places(opened: OpenStore) -> Iterator[Checked]:
    for level, what, cure in database_facts(opened.catalogue):
        yield Checked("database 数据库", level, what, cure, 6 if level == "failed" else 0)
    for level, what, cure in storage_promises(opened.objects):
        yield Checked("storage 对象存储", level, what, cure, 6 if level == "failed" else 0)


def _undeclared(opened: OpenStore) -> Iterator[Checked]:
    for source in declared_sources(opened.settings):
        with opened.catalogue.read() as connection:
            noted = undeclared_fields(connection, source)
        for name in [*(["text"] if "text" not in source.published else []), *noted]:
            yield Checked(
                "monitoring 监测",
                "warning",
                f"nobody has declared whether `{name}` of source {source.name} is public: it is not scanned",
                f"Add published = {{ {name} = true }} (or false) to the source in liucun.toml.",
            )


def _rules(opened: OpenStore) -> Iterator[Checked]:
    """The packs as they lie there now, and whether a job has refused them."""
    read = read_layers(layers_of(opened.root, opened.settings.detect), now_day())
    states = Counter(rule.state for rule in read.running.rules)
    said = ", ".join(f"{states[state]:,} {state}" for state in State)
    fatal = [problem for problem in read.problems if problem.fatal]
    for problem in read.problems if not fatal else fatal[:3]:
        level: Level = "failed" if problem.fatal else "warning"
        where = f"{problem.file}:{problem.line}: {problem.what}"
        yield Checked("rules 规则", level, where, problem.cure, exit_code=3 if problem.fatal else 0)
    if alarm := rules_alarm(opened.catalogue):
        yield Checked(
            "rules 规则", "warning", str(alarm), "`liucun rules lint`; a running job takes up cured packs itself."
        )
    if not fatal:
        yield Checked("rules 规则", "ok", f"{said} ({read.running.version})")
    shadow = {rule.id for rule in read.running.rules if rule.state is State.SHADOW}
    if hits := [(rule, count) for rule, count in shadow_totals(opened.catalogue).most_common() if rule in shadow]:
        counts = ", ".join(f"{rule} {count:,}" for rule, count in hits[:10])
        yield Checked("rules 规则", "note", f"texts hit by shadow rules so far 试运行命中: {counts}")


def _disk(root: Path) -> Iterator[Checked]:
    there = next(path for path in (root, *root.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    level: Level = "ok" if free > LOW_DISK else "warning"
    yield Checked("disk 磁盘", level, f"{free / (1 << 30):,.1f} GiB free", "" if level == "ok" else "Free some space.")


def _failed(check: str, error: LiucunError) -> Checked:
    return Checked(check, "failed", error.what, error.cure, error.exit_code)
