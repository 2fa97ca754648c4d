"""Fields that hold what people wrote and that nobody declared are found, told once, and told until somebody decides."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pipelines.batches import Place, RawBatch
from pipelines.decode.decoder import Decoder
from pipelines.sources.spec import SourceSpec
from pipelines.stages.undeclared import decided_columns, undeclared_fields
from retention.audits.coverage import audit_coverage
from retention.audits.monitoring import Monitoring
from retention.catalogue import declarations
from retention.catalogue.declarations import DeclaredSource, declare, note_fields
from retention.catalogue.declarations import undeclared_fields as noted_and_undecided
from tests.retention.sealed_store import make_store

LINES = """\
{"event_time":"2026-11-24T00:00:00Z","user_id":"u1","user_name":"阿明的小店","text":"你好","bio":"专业代办","sid":"a1b2"}
{"event_time":"2026-11-24T00:00:01Z","user_id":"u2","text":"hi","title":"a lovely red bag","ua":"X/1.0","n":"1 2 3"}
""".encode()


def spec(**more: object) -> SourceSpec:
    given = {"name": "app", "record_class": "content", "format": "ndjson", "paths": ["x"], **more}
    return SourceSpec.model_validate(given)


def fields(chosen: SourceSpec) -> list[str]:
    raw = RawBatch(Place("app", "p", 0, len(LINES)), LINES, True, True)
    decoded = Decoder(chosen).decode(raw, datetime(2026, 11, 24, 1, tzinfo=UTC))
    assert decoded.records.num_rows == 2
    return undeclared_fields(chosen, decoded.records)


def test_fields_with_sentences_are_found_and_ids_and_numbers_are_not() -> None:
    assert fields(spec()) == ["bio", "title", "user_name"]


def test_what_is_declared_either_way_is_decided() -> None:
    assert fields(spec(published={"bio": True, "title": False})) == ["user_name"]
    assert fields(spec(published={"bio": True, "title": False, "userName": True})) == []
    assert fields(spec(mapping={"text": "bio"}, published={"bio": True})) == ["title", "user_name"]


def test_it_is_told_once_and_named_until_somebody_decides(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    with store.catalogue.write() as connection:
        note_fields(connection, "app", ["bio", "title"])
        note_fields(connection, "app", ["bio"])
        note_fields(connection, "app", [f"key{n}" for n in range(500)])

    def named(**published: bool) -> set[str]:
        monitoring = Monitoring(sources=(DeclaredSource("app", "content", {"text": True, **published}),))
        report = audit_coverage(store, monitoring=monitoring)
        found = {f.where for f in report.findings if f.kind == "not_monitored" and f.where.startswith("source:app")}
        return {where.removeprefix("source:app field:") for where in found}

    assert {"bio", "title"} < named()
    assert len(named()) == declarations.MOST_FIELDS
    assert not {"bio", "title"} & named(bio=True, title=False)


def test_a_declaration_under_another_name_withdraws_the_note(tmp_path: Path) -> None:
    """The run notes columns; settings may name the field that fills one."""
    store = make_store(tmp_path)
    chosen = spec(published={"text": True, "userName": True})
    with store.catalogue.write() as connection:
        note_fields(connection, "app", fields(spec()))
        ran = DeclaredSource("app", "content", dict(chosen.published), columns=decided_columns(chosen))
        assert declare(connection, ran)
        assert not declare(connection, ran)
    with store.catalogue.read() as connection:
        assert noted_and_undecided(connection, DeclaredSource("app", "content", chosen.published)) == [
            "bio",
            "title",
            "user_name",
        ]
        assert noted_and_undecided(connection, ran) == ["bio", "title"]
        assert declarations.declarations(connection) == (ran,)
