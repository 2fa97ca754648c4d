"""The disposal queue at size: first page, filters, bulk steps, and many people who claim the same ticket at once.

Every ticket is opened by the product's own path (sealed body, sketch, finding, event); then the states are spread as
in a queue that was worked on for a while. Times are medians and worst of several rounds, in milliseconds.
"""

from __future__ import annotations

import os
import secrets
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

import tickets
from errors import BusyError, LiucunError, UsageError
from retention.catalogue.commit import BatchCommit, commit_batch
from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate
from retention.catalogue.progress import add_partition
from retention.crypto.bodies import BodyCipher
from retention.crypto.suites import suite
from retention.keys.keyring import KeyRing
from retention.keys.periods import PeriodKeys
from retention.manifest import SegmentManifest, SegmentPlace
from retention.objects.local import LocalObjects
from retention.schema import RECORD_SCHEMA
from retention.segments import Archive, write_segment
from tickets.actors import Actor, Role
from tickets.calendar.reading import shipped_calendar
from tickets.evidence import list_evidence
from tickets.opening import ContentFinding, Hit, open_or_extend, prepare
from tickets.queue import Filters, count_tickets, list_tickets, tickets_by_id
from tickets.service import Desk
from tickets.settings import PlatformSettings, TicketSettings
from tickets.states import Channel, Decision, Measure, Part, State, Waits
from tickets.steps.bulk import BulkAction
from tickets.steps.joining import linked
from tickets.tables import tickets as table

SCRIPTS: Final = Path(tickets.__file__).parent / "migrations"
BATCH: Final = 5_000
ROUNDS: Final = 9
BULK: Final = 1_000
TARGETS: Final = {"first_page_ms": 200.0, "slowest_filter_ms": 300.0, "slowest_bulk_ms": 2_000.0}
"""Upper bounds of the medians, for 200,000 tickets."""
CLAIMERS: Final = 50
_CATEGORIES: Final = ("gambling", "fraud", "pornography", "drugs", "weapons", "illicit_advertising", "abuse")
_WORDS: Final = (
    "开户",
    "彩金",
    "返利",
    "加群",
    "代办",
    "发票",
    "内部",
    "客服",
    "点击",
    "免费",
    "首存",
    "提现",
    "兼职",
    "刷单",
    "私聊",
)
"""Of which the texts are made up, so that some are nearly alike."""


def measure(
    count: int = 200_000, url: str | None = None, progress: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Open ``count`` tickets in a temporary SQLite file, or in a schema of its own at ``url``, and measure.

    Raises:
        UsageError: ``url`` is no PostgreSQL database.
    """
    with tempfile.TemporaryDirectory() as folder, _catalogue(Path(folder), url) as catalogue:
        keys = PeriodKeys.open(
            f"sqlite:///{folder}/keys.db", KeyRing.create(Path(folder) / "ring.json", "bench"), create=True
        )
        try:
            bodies = BodyCipher.from_period_keys(keys, suite("SM4-GCM-SM3"), "bodies")
            archive = Archive(LocalObjects(Path(folder) / "objects"), keys, suite("SM4-GCM-SM3"))
            started = time.perf_counter()
            _fill(catalogue, bodies, archive, count, progress)
            figures: dict[str, Any] = {"tickets": count, "database": catalogue.engine.dialect.name}
            figures["opening_per_second"] = round(count / (time.perf_counter() - started))
            figures |= _reads(catalogue, count)
            figures |= _steps(catalogue, bodies, archive)
            figures["claims"] = _claims(catalogue, bodies)
            figures["many_at_once"] = _many(catalogue, bodies)
        finally:
            keys.close()
    figures["load_average"] = round(os.getloadavg()[0], 1)
    figures["targets"] = TARGETS
    figures["ok"] = all(figures[name] <= bound for name, bound in TARGETS.items()) and figures["claims"]["won"] == 1
    figures["ok"] &= figures["many_at_once"]["lost"] == 0 and figures["many_at_once"]["busy"] == 0
    return figures


@contextmanager
def _catalogue(folder: Path, url: str | None) -> Iterator[Catalogue]:
    if url is None:
        catalogue = Catalogue.open(f"sqlite:///{folder}/catalogue.db")
        drop = None
    else:
        if not url.startswith("postgresql"):
            raise UsageError("The queue is measured on SQLite or PostgreSQL.", cure="Give postgresql+psycopg://… .")
        schema = f"liucun_bench_{secrets.token_hex(4)}"
        server = sa.create_engine(url)
        with server.begin() as connection:
            connection.execute(sa.schema.CreateSchema(schema))
        own = sa.make_url(url).update_query_dict({"options": f"-csearch_path={schema}"})
        catalogue = Catalogue.open(own.render_as_string(hide_password=False))
        drop = (server, schema)
    try:
        migrate(catalogue)
        migrate(catalogue, room="tickets", script_location=SCRIPTS)
        yield catalogue
    finally:
        catalogue.close()
        if drop is not None:
            with drop[0].begin() as connection:
                connection.execute(sa.schema.DropSchema(drop[1], cascade=True))
            drop[0].dispose()


def _fill(
    catalogue: Catalogue, bodies: BodyCipher, archive: Archive, count: int, progress: Callable[[str], None]
) -> None:
    random = np.random.default_rng(7)
    begun = datetime.now(UTC) - timedelta(days=30)
    with catalogue.write() as connection:
        add_partition(connection, source="bench", partition="bench#1", path="bench", generation=1)
    for first in range(0, count, BATCH):
        size = min(BATCH, count - first)
        words = random.integers(0, len(_WORDS), (size, 12)).tolist()
        severity = random.integers(1, 5, size).tolist()
        category = random.integers(0, len(_CATEGORIES), size).tolist()
        reach = (10 ** (random.random(size) * 7)).astype(int).tolist()
        contents = [
            _content(first + n, begun, "".join(_WORDS[word] for word in words[n]), severity[n], category[n], reach[n])
            for n in range(size)
        ]
        moment = begun + timedelta(seconds=first * 30 * 86_400 / count)
        prepared = prepare(bodies, contents, now=moment)
        manifest = _archived(archive, contents)
        batch = BatchCommit("bench", "bench#1", first, first + size, size, 0, 0, (manifest,))
        commit_batch(catalogue, batch, inside=partial(open_or_extend, prepared=prepared))
        progress(f"{first + size:,} tickets")
    _spread(catalogue)


def _archived(archive: Archive, contents: list[ContentFinding]) -> SegmentManifest:
    """The records that the tickets are about, sealed as a run seals them."""
    rows = [
        {
            "event_time": content.event_time,
            "event_ingested": content.event_time,
            "content_id": content.content_id,
            "user_id": content.user_id,
            "text": content.text,
            "raw": content.text.encode(),
            "log_source": "bench",
            "log_partition": "bench#1",
            "log_offset": content.offset,
            "log_length": 1,
        }
        for content in contents
    ]
    first, last = contents[0].offset, contents[-1].offset + 1
    return write_segment(
        archive,
        pa.Table.from_pylist(rows, schema=RECORD_SCHEMA),
        record_class="content",
        period=f"{contents[0].event_time:%Y-%m}",
        places=(SegmentPlace("bench", "bench#1", first, last, len(rows)),),
    )


def _content(n: int, begun: datetime, text: str, severity: int, category: int, reach: int) -> ContentFinding:
    hit = Hit(f"{_CATEGORIES[category]}.001", _CATEGORIES[category], None, severity, 0, 2, text[:2], 0.9, "bench")
    return ContentFinding(
        source="bench",
        partition="bench#1",
        offset=n,
        content_id=f"c{n}",
        record_class="content",
        user_id=f"u{n % 50_000}",
        field="text",
        text=f"{text}{n}",
        event_time=begun,
        findings=(hit,),
        reach=reach,
    )


def _spread(catalogue: Catalogue) -> None:
    """A quarter to be disposed of, a quarter to be reported over sixty days, a hundredth of it to the police."""
    c = table.c
    day = sa.cast(c.offset % 28 + 1, sa.String)
    due = sa.literal("2026-1") + sa.cast(c.offset % 3, sa.String) + "-" + sa.func.substr(sa.literal("0") + day, -2)
    if catalogue.engine.dialect.name != "sqlite":
        due = sa.literal("2026-1") + sa.cast(c.offset % 3, sa.String) + "-" + sa.func.lpad(day, 2, "0")
    with catalogue.write() as connection:
        disposed = {"state": State.DISPOSED.value, "part": int(Part.REPORT), "due_on": due, "decision": "illegal"}
        connection.execute(table.update().where(c.offset % 4 == 1).values(**disposed))
        police = {"police_due_at": "2026-10-05T04:00:00.000000Z"}
        connection.execute(table.update().where(c.offset % 400 == 1).values(**police))
        for rest, state in ((2, State.CLOSED), (3, State.DISMISSED)):
            values = {"state": state.value, "part": int(Part.REST)}
            connection.execute(table.update().where(c.offset % 4 == rest).values(**values))
        connection.execute(table.update().where(c.offset % 16 == 0).values(assignee="reviewer", state="triage"))
        connection.exec_driver_sql("ANALYZE")
    if catalogue.engine.dialect.name == "postgresql":
        _vacuum(catalogue)


def _vacuum(catalogue: Catalogue) -> None:
    """What the server's autovacuum does within minutes of a change of every row; people do not work in between."""
    names = sa.inspect(catalogue.engine).get_table_names()
    quoted = ", ".join(map(catalogue.engine.dialect.identifier_preparer.quote, names))
    with catalogue.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"VACUUM (ANALYZE) {quoted}")


def _reads(catalogue: Catalogue, count: int) -> dict[str, Any]:
    filters = {
        "state": Filters(states=(State.DETECTED,)),
        "category": Filters(category="drugs"),
        "category_and_severity": Filters(category="drugs", severity=4),
        "assignee": Filters(assignee="reviewer"),
        "due_by": Filters(due_by="2026-10-05"),
        "missed": Filters(missed=True),
        "content": Filters(content_id="c17"),
        "channel_without_hits": Filters(channel=Channel.AUTHORITY),
        "unclaimed": Filters(nobodys=True),
        "to_report": Filters(part=Part.REPORT),
        "waits_for_police": Filters(waits=Waits.POLICE),
    }
    read = {name: _timed(partial(_page, catalogue, given)) for name, given in filters.items()}
    first = _timed(lambda: _page(catalogue, Filters()))
    deep = _timed(lambda: _page(catalogue, Filters(), offset=count // 4 + 500))
    counted = _timed(lambda: _count(catalogue, Filters(states=(State.DETECTED, State.TRIAGE))))
    related = _timed(lambda: _linked(catalogue))
    return {
        "first_page_ms": first[0],
        "first_page_worst_ms": first[1],
        "page_500_past_the_first_part_ms": deep[0],
        "count_ms": counted[0],
        "links_of_a_ticket_ms": related[0],
        "filters_ms": {name: median for name, (median, _) in read.items()},
        "slowest_filter_ms": max(median for median, _ in read.values()),
    }


def _steps(catalogue: Catalogue, bodies: BodyCipher, archive: Archive) -> dict[str, Any]:
    who = Actor("bench", frozenset({Role.COMPLIANCE_HEAD}))
    desk = Desk(catalogue, bodies, shipped_calendar(), who, archive=archive)
    free = Filters(states=(State.DETECTED,), part=Part.DISPOSE)
    found: dict[str, float] = {}
    cpu: dict[str, float] = {}
    steps: tuple[tuple[BulkAction, dict[str, Any]], ...] = (
        (BulkAction.CLAIM, {}),
        (BulkAction.ASSIGN, {"assignee": "other"}),
        (BulkAction.DISMISS, {"reason": "无害"}),
        (BulkAction.CONFIRM, {"reason": "违法", "decision": Decision.ILLEGAL}),
    )
    for action, arguments in steps:
        with catalogue.read() as connection:
            ids = [ticket.ticket_id for ticket in list_tickets(connection, free, limit=BULK)]
        times: dict[str, list[float]] = {"step": [], "cpu": [], "undo": []}
        for _ in range(3):
            begun, used = time.perf_counter(), time.process_time()
            done = desk.bulk(action, ids, **arguments)
            times["step"].append(time.perf_counter() - begun)
            times["cpu"].append(time.process_time() - used)
            assert len(done.done) == len(ids), done.refused[:3]
            begun = time.perf_counter()
            assert len(desk.undo(done.token or "").done) == len(ids)
            times["undo"].append(time.perf_counter() - begun)
        found[action.value] = round(statistics.median(times["step"]) * 1000, 1)
        found[f"undo_{action.value}"] = round(statistics.median(times["undo"]) * 1000, 1)
        cpu[action.value] = round(statistics.median(times["cpu"]) * 1000, 1)
    found |= _disposals(desk, free, cpu)
    disposed, worst = _many_disposed(desk, free, cpu)
    found |= disposed
    return {
        "bulk_ms": found,
        "bulk_cpu_ms": cpu,
        "slowest_bulk_ms": max(found.values()),
        "dispose_many_worst_ms": worst,
    }


def _disposals(desk: Desk, free: Filters, cpu: dict[str, float]) -> dict[str, float]:
    """One decision on a group of 1,000: merged, confirmed and disposed of, the evidence of each sealed first."""
    with desk.catalogue.read() as connection:
        first, *others = [ticket.ticket_id for ticket in list_tickets(connection, free, limit=BULK)]
    found: dict[str, float] = {}
    steps: dict[str, Callable[[], object]] = {
        "merge_group": partial(desk.merge, others, first, "同一文案"),
        "confirm_group": partial(desk.confirm, first, Decision.ILLEGAL, "违法"),
        "dispose_group_with_evidence": partial(desk.dispose, first, Measure.DELETE),
    }
    for name, step in steps.items():
        begun, used = time.perf_counter(), time.process_time()
        step()
        found[name] = round((time.perf_counter() - begun) * 1000, 1)
        cpu[name] = round((time.process_time() - used) * 1000, 1)
    with desk.catalogue.read() as connection:
        kept = len(list_evidence(connection, [f"ticket:{number}" for number in (first, *others)]))
    assert kept == len(others) + 1, f"evidence of {kept} tickets only"
    return found


def _many_disposed(desk: Desk, free: Filters, cpu: dict[str, float]) -> tuple[dict[str, float], float]:
    """One measure on 1,000 confirmed tickets: the evidence of each sealed first, an order to the platform for each.

    Three times, on other tickets each, as it cannot be taken back: the median, and the worst.
    """
    settings = TicketSettings(platform=PlatformSettings(url="https://platform.invalid/orders"))
    desk = replace(desk, settings=settings)
    times: dict[str, list[float]] = {"step": [], "cpu": []}
    for _ in range(3):
        with desk.catalogue.read() as connection:
            ids = [ticket.ticket_id for ticket in list_tickets(connection, free, limit=BULK)]
        assert len(desk.bulk(BulkAction.CONFIRM, ids, decision=Decision.ILLEGAL, reason="违法").done) == len(ids)
        begun, used = time.perf_counter(), time.process_time()
        done = desk.bulk(BulkAction.DISPOSE, ids, measure=Measure.DELETE, reason="依法删除")
        times["step"].append(time.perf_counter() - begun)
        times["cpu"].append(time.process_time() - used)
        assert len(done.done) == len(ids), done.refused[:3]
    name = "dispose_many_with_evidence_and_orders"
    cpu[name] = round(statistics.median(times["cpu"]) * 1000, 1)
    return {name: round(statistics.median(times["step"]) * 1000, 1)}, round(max(times["step"]) * 1000, 1)


def _many(catalogue: Catalogue, bodies: BodyCipher) -> dict[str, Any]:
    """Fifty people take overlapping parts of the queue at once, in orders of their own: each ticket has one holder."""
    with catalogue.read() as connection:
        ids = [ticket.ticket_id for ticket in list_tickets(connection, Filters(states=(State.DETECTED,)), limit=200)]
    held: dict[str, str] = {}
    twice: list[str] = []
    refused: list[str] = []
    lock, start = threading.Lock(), threading.Barrier(CLAIMERS)

    def work(n: int) -> None:
        desk = Desk(catalogue, bodies, shipped_calendar(), Actor(f"m{n}", frozenset({Role.REVIEWER})))
        mine = np.random.default_rng(n).permutation(ids)[:40].tolist()
        start.wait()
        try:
            done = desk.bulk(BulkAction.CLAIM, mine).done
        except LiucunError as error:
            refused.append(type(error).__name__)
            return
        with lock:
            twice.extend(number for number in done if number in held)
            held.update(dict.fromkeys(done, f"m{n}"))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(CLAIMERS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = round(time.perf_counter() - begun, 2)
    with catalogue.read() as connection:
        now = {ticket.ticket_id: ticket.assignee for ticket in tickets_by_id(connection, ids)}
    lost = [number for number, name in held.items() if now[number] != name]
    return {
        "people": CLAIMERS,
        "claims": len(held),
        "lost": len(lost) + len(twice),
        "busy": len(refused),
        "seconds": seconds,
    }


def _claims(catalogue: Catalogue, bodies: BodyCipher) -> dict[str, Any]:
    """Fifty people claim one ticket: one has it, each of the others is told so."""
    with catalogue.read() as connection:
        number = list_tickets(connection, Filters(states=(State.DETECTED,)), limit=1)[0].ticket_id
    won: list[str] = []
    told: list[str] = []
    start = threading.Barrier(CLAIMERS)

    def claim(name: str) -> None:
        desk = Desk(catalogue, bodies, shipped_calendar(), Actor(name, frozenset({Role.REVIEWER})))
        start.wait()
        try:
            desk.claim(number)
        except LiucunError as error:
            told.append("busy" if isinstance(error, BusyError) else "taken")
        else:
            won.append(name)

    threads = [threading.Thread(target=claim, args=(f"r{n}",)) for n in range(CLAIMERS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"people": CLAIMERS, "won": len(won), "told": len(told), "seconds": round(time.perf_counter() - begun, 2)}


def _page(catalogue: Catalogue, filters: Filters, offset: int = 0) -> None:
    with catalogue.read() as connection:
        list_tickets(connection, filters, limit=50, offset=offset)


def _count(catalogue: Catalogue, filters: Filters) -> None:
    with catalogue.read() as connection:
        count_tickets(connection, filters)


def _linked(catalogue: Catalogue) -> None:
    with catalogue.read() as connection:
        linked(connection, list_tickets(connection, Filters(content_id="c17"))[0].ticket_id)


def _timed(step: Callable[[], None]) -> tuple[float, float]:
    step()
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        step()
        times.append((time.perf_counter() - begun) * 1000)
    return round(statistics.median(times), 1), round(max(times), 1)
