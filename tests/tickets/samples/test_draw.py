"""Drawing: uniform, reproducible, only passed texts that are public, nobody restricted, every day once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from errors import IntegrityError, UsageError
from retention.catalogue.tables import events
from retention.persons.restriction import restrict
from tests.retention.sealed_store import SealedStore
from tests.tickets.samples.conftest import DAY, texts
from tickets.opening import ContentFinding, Hit, open_or_extend, prepare
from tickets.samples.draw import Frame, check, choose, draw, frames_of
from tickets.samples.judge import list_samples
from tickets.samples.ranks import ranks
from tickets.samples.tables import samples as table

FRAME = (Frame("content", "text", ("app",)),)
TENTH = date(2026, 3, 10)
NOW = datetime(2026, 3, 12, tzinfo=UTC)


def flag(store: SealedStore, offset: int, partition: str = "app.log#1", field: str = "text") -> None:
    hit = Hit("gambling.x", "gambling", None, 3, 0, 1, "第", 1.0, "v1")
    found = ContentFinding("app", partition, offset, None, "content", "u1", field, "第", DAY, (hit,))
    with store.catalogue.write() as connection:
        open_or_extend(connection, prepare(store.bodies, [found], now=DAY))


def places(store: SealedStore, size: int, day: date = TENTH) -> list[int]:
    return [place.offset for place in choose(store, FRAME, day, size, actor="os:test").places]


def test_frames_are_what_is_declared_public() -> None:
    declared = [
        ("b", "content", {"text": True, "note": False}),
        ("a", "content", {"text": True}),
        ("o", "transaction", {"text": False, "review": True}),
        ("l", "user_log", {}),
    ]
    assert frames_of(declared) == (Frame("content", "text", ("a", "b")), Frame("transaction", "review", ("o",)))


def test_only_passed_public_texts_of_the_day_are_drawn(store: SealedStore) -> None:
    store.add(texts(40), record_class="content")
    store.add(texts(5, day=DAY - timedelta(days=1)), record_class="content")
    store.add(texts(5, day=DAY + timedelta(days=1)), record_class="content")
    store.add(
        [{**row, "text": blank} for row, blank in zip(texts(3), (None, "", " "), strict=True)], record_class="content"
    )
    store.add(texts(7), record_class="content", source="private")
    store.add(texts(4, content_type="image/png"), record_class="content")
    for offset in (0, 10, 20):
        flag(store, offset)
    flag(store, 30, field="note")
    found = draw(store, FRAME, TENTH, 1000, actor="os:test", now=NOW)
    assert (dict(found.passed), found.flagged) == ({"text": 37, "image": 4}, 3)
    assert len(found.places) == 41
    assert {place.source for place in found.places} == {"app"}
    assert not {0, 10, 20} & {place.offset for place in found.places}
    assert sorted(place.rank for place in found.places) == [place.rank for place in found.places]
    with store.catalogue.read() as connection:
        assert len(list_samples(connection, limit=100)) == 41
        said = list(connection.execute(sa.select(events.c.kind).where(events.c.kind.like("sample.%"))).scalars())
        asked = list(connection.execute(sa.select(events.c.actor).where(events.c.kind == "query.started")).scalars())
    assert Counter(said) == {"sample.day_drawn": 1, "sample.drawn": 41}
    assert asked == ["os:test"], "what was read is on record"


def test_the_day_ends_at_midnight_in_shanghai(store: SealedStore) -> None:
    night = datetime(2026, 3, 9, 16, tzinfo=UTC)  # 10 March 00:00 in Shanghai
    rows = [{**texts(1)[0], "event_time": at} for at in (night - timedelta(microseconds=1), night)]
    rows += [{**texts(1)[0], "event_time": night + timedelta(days=1) + timedelta(microseconds=n)} for n in (-1, 0)]
    store.add(rows, record_class="content")
    assert sorted(places(store, 10)) == [10, 20]


def test_restricted_accounts_are_out(store: SealedStore) -> None:
    store.add(texts(40), record_class="content")
    restrict(store, "u3", ground="deletion request", actor="os:test", now=NOW)
    found = choose(store, FRAME, TENTH, 100, actor="os:test")
    assert dict(found.passed) == {"text": 38}
    assert not {30, 230} & {place.offset for place in found.places}


def test_the_sample_depends_on_neither_time_nor_segments_nor_size(store: SealedStore) -> None:
    store.add(texts(30), record_class="content")
    first = places(store, 10)
    assert first == places(store, 10)
    assert places(store, 20)[:10] == first
    store.add(texts(1, day=DAY + timedelta(days=3)), record_class="content")
    assert places(store, 10) == first


def test_every_text_has_the_same_chance(store: SealedStore) -> None:
    """Ranks over many days: each of 200 texts is among the lowest 20 in a tenth of them."""
    offsets = np.arange(200, dtype=np.int64) * 61
    drawn = np.zeros(200)
    days = 2000
    for n in range(days):
        seed = int(store.bodies.blind(f"day {n}", "review sample")[:16], 16)
        numbers = ranks(seed, offsets)
        assert len(np.unique(numbers)) == 200
        drawn[np.argsort(numbers)[:20]] += 1
    expected = days / 10
    chi2 = float(((drawn - expected) ** 2 / (expected * 0.9)).sum())
    # 199 degrees of freedom: mean 199, deviation 20; five deviations either way.
    assert 100 < chi2 < 300


def test_days_are_drawn_once_and_when_they_are_over(store: SealedStore) -> None:
    store.add(texts(5), record_class="content")
    with pytest.raises(UsageError, match="not over"):
        draw(store, FRAME, TENTH, 5, actor="os:test", now=datetime(2026, 3, 10, 15, 59, tzinfo=UTC))
    with pytest.raises(UsageError, match="nothing to draw"):
        draw(store, (), TENTH, 5, actor="os:test", now=NOW)
    draw(store, FRAME, TENTH, 5, actor="os:test", now=datetime(2026, 3, 10, 16, tzinfo=UTC))
    with pytest.raises(UsageError, match="drawn already"):
        draw(store, FRAME, TENTH, 5, actor="os:test", now=NOW)
    empty = draw(store, FRAME, TENTH - timedelta(days=1), 5, actor="os:test", now=NOW)
    assert (empty.places, dict(empty.passed)) == ((), {})


def test_fields_without_a_column_and_hostile_names(store: SealedStore) -> None:
    store.add([{**texts(1)[0], "text": None, "extra": [("it's", "公开")]}], record_class="content")
    frame = (Frame("content", "it's", ("app", "o'brien")),)
    assert len(choose(store, frame, TENTH, 5, actor="os:test").places) == 1
    with pytest.raises(UsageError, match="holds no text"):
        choose(store, (Frame("content", "log_offset", ("app",)),), TENTH, 5, actor="os:test")


@pytest.mark.tampers
def test_the_check_finds_a_text_put_in_or_taken_out(store: SealedStore) -> None:
    with pytest.raises(UsageError, match="No sample"):
        check(store, TENTH, actor="os:test")
    store.add(texts(60), record_class="content")
    draw(store, FRAME, TENTH, 10, actor="os:test", now=NOW)
    assert len(check(store, TENTH, actor="os:test").places) == 10
    lowest = places(store, 10)
    with store.catalogue.write() as connection:
        victim = connection.execute(sa.select(table).order_by(table.c.rank).limit(1)).one()
        spare = next(n * 10 for n in range(60) if n * 10 not in lowest)
        connection.execute(table.update().where(table.c.sample_id == victim.sample_id).values(offset=spare))
    with pytest.raises(IntegrityError, match="1 texts are not in it, 1 should not be"):
        check(store, TENTH, actor="os:test")
    with store.catalogue.write() as connection:
        connection.execute(table.delete().where(table.c.sample_id == victim.sample_id))
    with pytest.raises(IntegrityError):
        check(store, TENTH, actor="os:test")
