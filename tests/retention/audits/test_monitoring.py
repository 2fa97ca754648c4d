"""Silence, time gaps and what is not monitored are found; what is as usual is not. The printed report holds them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from retention.audits.clauses import Answer, clauses
from retention.audits.coverage import audit_coverage
from retention.audits.days import count_days
from retention.audits.document import Context, document
from retention.audits.gaps import silences, time_gaps, usual_pause
from retention.audits.kinds import kind_of
from retention.audits.monitoring import Monitoring
from retention.audits.report import Severity, read_report
from retention.catalogue.declarations import DeclaredSource, declarations, declare
from retention.catalogue.progress import add_partition
from retention.catalogue.tables import batches, timestamp
from retention.printing.web import write_page
from tests.retention.sealed_store import SealedStore, make_store

FIRST = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SealedStore]:
    made = make_store(tmp_path)
    yield made
    made.catalogue.close()
    made.period_keys.close()


def rows(hours: range, *, without: range = range(0), weekdays: bool = False) -> list[dict[str, object]]:
    moments = [FIRST + timedelta(hours=n) for n in hours if n not in without]
    return [
        {"event_time": m, "user_id": "u"} for m in moments if not weekdays or (m + timedelta(hours=8)).weekday() < 5
    ]


def test_an_outage_of_six_hours_is_a_gap_and_a_weekend_of_a_source_that_rests_is_none(store: SealedStore) -> None:
    outage = range(24 * 50, 24 * 50 + 6)
    store.add(rows(range(24 * 70), without=outage))
    store.add(rows(range(24 * 70), weekdays=True), source="office", partition="office.log#1")
    assert count_days(store) == 2
    with store.catalogue.read() as connection:
        found = time_gaps(connection, now=FIRST + timedelta(days=70))
    assert [(gap.source, gap.begin.astimezone(UTC), gap.end.astimezone(UTC)) for gap in found] == [
        ("app", FIRST + timedelta(hours=outage.start), FIRST + timedelta(hours=outage.stop))
    ]


def test_a_missed_working_day_of_a_source_that_rests_is_a_gap(store: SealedStore) -> None:
    store.add(rows(range(24 * 70), without=range(24 * 60, 24 * 61), weekdays=True))
    count_days(store)
    with store.catalogue.read() as connection:
        found = time_gaps(connection, now=FIRST + timedelta(days=69))
    assert [gap.begin.date() for gap in found] == [date(2026, 3, 2)]


def come(store: SealedStore, source: str, moments: list[datetime]) -> None:
    with store.catalogue.write() as connection:
        connection.execute(
            batches.insert(),
            [
                {
                    "source": source, "partition": "p", "start": n, "end": n + 1, "records": 1, "headers": 0,
                    "blanks": 0, "committed_at": timestamp(moment),
                }
                for n, moment in enumerate(moments)
            ],
        )  # fmt: skip


def test_silent_longer_than_usual(store: SealedStore) -> None:
    come(store, "minutely", [FIRST + timedelta(minutes=5 * n) for n in range(100)])
    come(store, "nightly", [FIRST - timedelta(days=n) for n in range(20, -1, -1)])
    come(store, "once", [FIRST])

    def silent(after: timedelta, *declared: str) -> list[str]:
        with store.catalogue.read() as connection:
            return [one.source for one in silences(connection, declared=declared, now=FIRST + after)]

    assert silent(timedelta(minutes=500)) == []
    assert silent(timedelta(hours=10)) == ["minutely"]
    assert silent(timedelta(hours=37)) == ["minutely", "nightly"]
    assert silent(timedelta(days=8)) == ["minutely", "nightly"], "nobody expects a file that came once"
    assert silent(timedelta(days=11), "once") == ["minutely", "nightly", "once"]


def test_one_outage_of_the_past_is_not_usual() -> None:
    times = [FIRST + timedelta(hours=n) for n in range(30)]
    assert usual_pause([*times, times[-1] + timedelta(days=3)]) == timedelta(hours=1)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (None, "text"), ("", "text"), ("image/jpeg", "image"), ("图片", "image"), ("live_comment", "text"),
        ("product_title", "text"), ("SHORT_VIDEO", "video"), ("hologram", "hologram"), ("x" * 999, "x" * 64),
    ],
)  # fmt: skip
def test_types_of_content_have_one_name(given: str | None, kind: str) -> None:
    assert kind_of(given) == kind


def test_what_is_not_monitored_is_named_and_printed(store: SealedStore) -> None:
    store.add(
        [{"event_time": FIRST, "content_type": kind} for kind in ("text", "image/png", "image/png", "audio")],
        record_class="content",
    )
    count_days(store)
    monitoring = Monitoring(
        detectors={7: ("rules gambling",), 9: ("model fraud",)},
        engines={"audio": "vendor X"},
        sources=(
            DeclaredSource("app", "content", {"text": True}),
            DeclaredSource("shop", "content"),
        ),
    )
    report = audit_coverage(store, monitoring=monitoring, now=FIRST + timedelta(days=1))
    assert report.ok
    named = {f.where for f in report.findings if f.kind == "not_monitored"}
    assert named == {
        *(f"article15:{item}" for item in (1, 2, 3, 4, 5, 6, 8)), "content_type:image", "content_type:video",
        "source:shop",
    }  # fmt: skip
    assert {f.where for f in report.findings if f.kind == "source_silent"} == {"source:shop"}
    with store.catalogue.write() as connection:
        add_partition(connection, source="shop", partition="shop.log#1", path="shop.log", generation=1)
    again = audit_coverage(store, monitoring=monitoring, now=FIRST + timedelta(days=1))
    (silent,) = [f for f in again.findings if f.kind == "source_silent"]
    assert silent.where == "source:shop", "a place that is read and empty says nothing"
    assert "no record was ever in them" in silent.detail
    assert all(f.severity is Severity.NOTICE for f in report.findings)
    again = read_report(report.whole_json())
    assert again == report
    page = write_page(document([again], Context(store="/x", actor="<b>ann</b>\u202e")))
    assert "<b>ann" not in page
    assert "\u202e" not in page
    assert "内容类型 image" in page
    assert page.count("<svg") == 1


def test_text_of_a_source_that_a_command_line_declared_public_is_monitored(store: SealedStore) -> None:
    rules = {7: ("rules gambling",)}
    with store.catalogue.write() as connection:
        assert declare(connection, DeclaredSource("once", "content", {"text": False}))
        assert declare(connection, DeclaredSource("once", "content", {"text": True}))
        assert not declare(connection, DeclaredSource("once", "content", {"text": True})), "nothing changed"
        assert declare(connection, DeclaredSource("logs", "user_log", {"text": False}))
    with store.catalogue.read() as connection:
        ran = declarations(connection)
    assert [(one.name, one.record_class, one.scanned) for one in ran] == [
        ("logs", "user_log", ()), ("once", "content", ("text",)),
    ]  # fmt: skip

    def unmonitored(*sources: DeclaredSource) -> set[str]:
        monitoring = Monitoring(detectors=rules, ran=sources)
        report = audit_coverage(store, monitoring=monitoring, now=FIRST + timedelta(days=400))
        assert not [f for f in report.findings if f.kind == "source_silent"], "nobody expects more of it"
        return {f.where for f in report.findings if f.kind == "not_monitored" and "article15" not in f.where}

    assert "content_type:text" not in unmonitored(*ran)
    assert "content_type:text" in unmonitored(ran[0])
    assert "source:shy" in unmonitored(*ran, DeclaredSource("shy", "content"))


def test_every_clause_has_a_row() -> None:
    found = {clause.number: clause for clause in clauses()}
    assert list(found) == [
        *map(str, range(1, 15)), *(f"15({n})" for n in range(1, 8)), *(f"16({n})" for n in range(1, 15)),
    ]  # fmt: skip
    assert found["9"].answer is Answer.SOFTWARE
    assert found["12"].duties == ("renewal",)
    assert found["16(14)"].answer is Answer.OUTSIDE
