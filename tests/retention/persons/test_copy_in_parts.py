"""A copy larger than an answer: by month, by halves, by place; whole or not at all, and with every record."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from errors import LiucunError, StorageError
from retention.catalogue.tables import events
from retention.persons import class_files
from retention.persons import copy as copying
from retention.persons.copy import PersonCopy, deletion_outlook, person_copy
from retention.persons.dividing import Portion, by_month, halves
from retention.persons.errors import CopyChangedError, RecordTooLargeError
from retention.persons.requests import Kind, PersonRequest, read_request, receive
from retention.persons.restriction import restrict
from retention.query.run import open_words
from tests.retention.policies.world import World, at

NOW = at("2026-11-24")
ONE_INSTANT = datetime(2026, 4, 9, 3, tzinfo=UTC)
RECORDS = 4 + 12 + 8 + 6 + 5
"""Of the merchant: quiet months, a busy one, one instant, and without a time."""


def _of(name: str, number: int, **more: Any) -> dict[str, Any]:
    return {"user_id": name, "event_id": f"e{number}", "text": "满意" * 40, **more}


@pytest.fixture
def merchant(world: World) -> World:
    """Beside alice and bob a merchant, with records of all kinds of times, among another's at the same times."""
    store = world.store
    busy = datetime(2026, 3, 2, tzinfo=UTC)
    for name in ("商家'1", "other"):
        rows = [_of(name, n, event_time=at(f"2026-0{n + 5}-01", 0)) for n in range(3)]
        rows.append(_of(name, 3, event_time=datetime(9999, 12, 31, 20, tzinfo=UTC)))
        rows += [_of(name, n, event_time=busy + timedelta(hours=n % 5, minutes=n)) for n in range(12)]
        store.add(rows, record_class="content", partition=f"日志 {name}#1")
        # One instant, as of a source that knows days alone: in one file of many records, and in many of one.
        store.add(
            [_of(name, n, event_time=ONE_INSTANT) for n in range(8)],
            record_class="content",
            partition=f"it's {name}#2",
        )
        for number in range(6 if name != "other" else 0):
            source = f"shop{number % 2}"
            store.add(
                [_of(name, number, event_time=ONE_INSTANT)], record_class="content", source=source,
                partition=f"{source}/{name}/{number}#1",
            )  # fmt: skip
        store.add([_of(name, n) for n in range(5)], record_class="content", partition=f"it's {name}#2")
    restrict(store, "商家'1", ground="x", actor="ann", now=NOW)
    return world


def _asked(world: World, account: str = "商家'1") -> PersonRequest:
    made = receive(
        world.store, Kind.COPY, account, text="all", actor="ann", now=NOW, settings=world.settings, received_at=None
    )
    return read_request(world.store, made, date(2026, 11, 24))


def _copied(world: World, target: Path, request: PersonRequest | None = None) -> PersonCopy:
    return person_copy(world.store, request or _asked(world), target, actor="ann", now=NOW)


def _read(copy: PersonCopy) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Any]]:
    """The records by file, in the order of the zip file, and the digests."""
    with zipfile.ZipFile(copy.path) as opened:
        assert opened.testzip() is None
        names = opened.namelist()
        return {n: json.loads(opened.read(n)) for n in names if n.startswith("data/")}, json.loads(
            opened.read("digests.json")
        )


def _kinds(world: World) -> Counter[str]:
    with world.catalogue.read() as connection:
        return Counter(connection.execute(sa.select(events.c.kind)).scalars())


def _limit(monkeypatch: pytest.MonkeyPatch, part: int, record: int | None = None) -> None:
    monkeypatch.setattr(class_files, "PART_BYTES", part)
    if record is not None:
        monkeypatch.setattr(class_files, "RECORD_BYTES", record)


@pytest.mark.parametrize("part", [9_000, 3_000, 1])
def test_the_parts_are_the_copy_of_one_piece(
    merchant: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    request = _asked(merchant)
    (whole,) = _read(_copied(merchant, tmp_path / "whole.zip", request))[0].values()
    assert len(whole) == RECORDS
    _limit(monkeypatch, part)
    copy = _copied(merchant, tmp_path / "parts.zip", request)
    files, digests = _read(copy)
    assert [row for rows in files.values() for row in rows] == whole
    assert copy.records == {"content": RECORDS}
    assert (copy.files, digests.keys()) == (len(files), files.keys())
    assert sum(entry["records"] for entry in digests.values()) == RECORDS
    stems = dict.fromkeys(name.partition("-part")[0].removesuffix(".json") for name in files)
    months = ["2026-03", "2026-04", "2026-05", "2026-06", "2026-07", "10000-01", "undated"]
    assert list(stems) == [f"data/content-{month}" for month in months]
    numbers = [int(name[-9:-5]) for name in files if name.startswith("data/content-2026-04-part")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert (part == 9_000) == (not numbers)
    if part == 1:
        assert len(files) == RECORDS


def test_each_file_is_the_answer_of_a_recorded_query(
    merchant: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _limit(monkeypatch, 4_000)
    request = _asked(merchant)
    copy = _copied(merchant, tmp_path / "copy.zip", request)
    _, digests = _read(copy)
    hash_ = merchant.store.archive.suite.hash
    with zipfile.ZipFile(copy.path) as opened:
        assert {n: hash_(opened.read(n)).hex() for n in digests} == {n: d["digest"] for n, d in digests.items()}
    with merchant.catalogue.read() as connection:
        found = connection.execute(
            sa.select(events.c.kind, events.c.subject, events.c.body).order_by(events.c.id)
        ).all()
    answered = {orjson.loads(row.body)["digest"] for row in found if row.kind == "query.answered"}
    assert {entry["digest"] for entry in digests.values()} <= answered
    for row in found:
        if row.kind == "query.started":
            words = open_words(merchant.store.bodies, row.subject[6:], orjson.loads(row.body)["sealed"])
            assert words["purpose"] == f"copy request {request.request_id}"
            assert "第四十五条" in words["basis"]
    kinds = Counter(row.kind for row in found)
    assert kinds["query.started"] == kinds["query.answered"] + kinds["query.failed"]
    assert found[-1].kind == "request.exported"
    body = orjson.loads(found[-1].body)
    assert body == {"records": copy.records, "files": copy.files, "digest": copy.digest, "bytes": copy.size}


def test_a_record_that_is_too_large_is_said(merchant: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _limit(monkeypatch, 2_000, 100)
    (tmp_path / "out").mkdir()
    with pytest.raises(RecordTooLargeError, match=r"class content of 2026-.* is larger than .* MiB"):
        _copied(merchant, tmp_path / "out" / "copy.zip")
    assert list((tmp_path / "out").iterdir()) == []
    assert _kinds(merchant)["request.exported"] == 0
    # One that is alone in its class as well; and one larger than a part has a file of its own.
    _limit(monkeypatch, 1, 100)
    with pytest.raises(RecordTooLargeError, match="class user_log"):
        _copied(merchant, tmp_path / "out" / "copy.zip", _asked(merchant, "alice"))
    _limit(monkeypatch, 1, 100_000)
    assert _copied(merchant, tmp_path / "out" / "copy.zip", _asked(merchant, "alice")).files == 2


def test_records_of_one_place_share_a_file_however_large_they_are(
    merchant: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _limit(monkeypatch, 1)
    monkeypatch.setattr(class_files, "halves", lambda *_: None)
    copy = _copied(merchant, tmp_path / "copy.zip")
    assert (copy.records, copy.files) == ({"content": RECORDS}, 7)
    _limit(monkeypatch, 1, 3_000)
    with pytest.raises(RecordTooLargeError, match=r"class content of 2026-.* is larger than 0.00286 MiB"):
        _copied(merchant, tmp_path / "more.zip")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("at_file", [0, 2, -1])
@pytest.mark.parametrize("nameless", [True, False])
def test_nothing_is_left_of_a_copy_that_was_not_finished(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, at_file: int, nameless: bool
) -> None:
    if not nameless:
        monkeypatch.setattr("retention.new_file._NAMELESS", 0)
    write = zipfile.ZipFile.writestr
    written: list[str] = []

    def fails(archive: zipfile.ZipFile, info: zipfile.ZipInfo, *given: Any) -> None:
        if len(written) == at_file or (at_file < 0 and info.filename == "digests.json"):
            raise error
        written.append(info.filename)
        write(archive, info, *given)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", fails)
    _limit(monkeypatch, 500)
    (tmp_path / "out").mkdir()
    with pytest.raises(StorageError if isinstance(error, OSError) else KeyboardInterrupt):
        _copied(world, tmp_path / "out" / "copy.zip", _asked(world, "alice"))
    assert list((tmp_path / "out").iterdir()) == []
    assert _kinds(world)["request.exported"] == 0


def test_a_copy_that_cannot_be_recorded_is_not_there(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out" / "copy.zip"
    target.parent.mkdir()
    seen: list[list[str]] = []
    append = copying.events.append

    def refused(*given: Any, **values: Any) -> None:
        if values["kind"] == "request.exported":
            seen.append([item.name for item in target.parent.iterdir()])
            raise StorageError("No.", cure="x")
        append(*given, **values)

    monkeypatch.setattr(copying.events, "append", refused)
    with pytest.raises(StorageError, match="No"):
        _copied(world, target, _asked(world, "alice"))
    assert seen == [[]]
    assert list(target.parent.iterdir()) == []


def test_a_name_that_is_taken_meanwhile_stays_as_it_is(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "copy.zip"
    record = copying.write_class

    def taken(*given: Any) -> None:
        target.write_bytes(b"another's")
        record(*given)

    monkeypatch.setattr(copying, "write_class", taken)
    with pytest.raises(StorageError, match="File exists"):
        _copied(world, target, _asked(world, "alice"))
    with pytest.raises(StorageError, match="File exists"):
        _copied(world, target, _asked(world, "alice"))
    assert target.read_bytes() == b"another's"


def test_records_that_come_in_meanwhile_may_be_in_it(
    merchant: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def later(*given: Any) -> list[Portion]:
        found = by_month(*given)
        if found and given[1] == "content":
            rows = [_of("商家'1", 99, event_time=ONE_INSTANT), _of("商家'1", 98, event_time=at("2026-10-01"))]
            merchant.store.add(rows, record_class="content", partition="late#1")
        return found

    monkeypatch.setattr(class_files, "by_month", later)
    assert _copied(merchant, tmp_path / "whole.zip").records == {"content": RECORDS + 2}
    _limit(monkeypatch, 4_000)
    # Of the next two, one lies between what was counted, and is read.
    assert _copied(merchant, tmp_path / "parts.zip").records["content"] in (RECORDS + 5, RECORDS + 6)


def test_a_record_that_is_left_out_is_found(merchant: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fewer(*given: Any) -> list[Portion] | None:
        found = halves(*given)
        return found and found[:1]

    _limit(monkeypatch, 4_000)
    monkeypatch.setattr(class_files, "halves", fewer)
    with pytest.raises(CopyChangedError, match=f"there were {RECORDS} records before and {RECORDS} after") as met:
        _copied(merchant, tmp_path / "copy.zip")
    assert isinstance(met.value, LiucunError)
    assert met.value.exit_code == 7
    assert not (tmp_path / "copy.zip").exists()


def test_the_outlook_tells_of_a_record_in_a_year_that_python_has_not(merchant: World) -> None:
    (found,) = deletion_outlook(merchant.store, "商家'1", purpose="x", actor="ann", today=date(2026, 11, 24))
    assert (found.records, found.first_on, found.last_on) == (RECORDS, "2026-03-02", "10000-01-01")


def test_the_outlook_of_records_without_a_time_has_no_days(world: World) -> None:
    world.store.add([_of("timeless", n) for n in range(3)], record_class="content", partition="timeless#1")
    (found,) = deletion_outlook(world.store, "timeless", purpose="x", actor="ann", today=date(2026, 11, 24))
    assert (found.records, found.first_on, found.last_on) == (3, None, None)
