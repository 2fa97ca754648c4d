"""``POST /v1/logs``: only for programs with the right, bounded, and archived exactly once by the run that follows."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from console.access.roles import Role
from pipelines.job import Job, JobOptions
from pipelines.sources.spec import SourceSpec
from retention.audits.coverage import audit_coverage
from retention.catalogue.tables import batches, partitions
from retention.intake.intake import Intake
from retention.intake.settings import CollectorSettings
from retention.query.run import Rendered, run_query
from retention.store import Store, StoreSettings
from tests.console.conftest import make_account
from tests.console.running import make_parts, running

LIMITS = CollectorSettings(reserve_megabytes=0, request_megabytes=1, line_kilobytes=64)
LINES = b'{"content_id":"c1","text":"one"}\n{"content_id":"c2","text":"two"}\n'
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A console that collects for two sources, and a program's account."""
    root: Path = tmp_path_factory.mktemp("collector") / "store"
    parts = make_parts(root)
    make_account(parts.catalogue, "shop", Role.COLLECTOR)
    make_account(parts.catalogue, "other", Role.COLLECTOR)
    intake = Intake(root, ["posts", "orders"], parts.catalogue, parts.bodies, LIMITS)
    with running(replace(parts, intake=intake)) as found:
        yield found
    intake.close()
    parts.catalogue.close()
    parts.period_keys.close()


@pytest.fixture
def shop(site):
    return site.api("shop")


def send(client, lines=LINES, source="posts", **headers: str):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/logs", params={"source": source}, content=lines, headers={**NDJSON, **names})


def spec(name: str = "posts") -> SourceSpec:
    return SourceSpec.model_validate({"name": name, "kind": "collector", "record_class": "content", "format": "ndjson"})


def archived(site, name: str = "posts") -> list[bytes]:
    """Run once over the source, prove coverage, and return the archived lines of it."""
    with Store.open(site.parts.root, StoreSettings(), "a passphrase for tests") as store:
        summary = Job(store, [spec(name)], JobOptions(collector=LIMITS)).run()
        assert summary.records_in >= 0
        report = audit_coverage(store)
        assert report.ok, report.findings
    rows: list[bytes] = []

    def render(table) -> Rendered:
        rows.extend(table.column("raw").to_pylist())
        return Rendered(b"", "none")

    sql = " UNION ALL ".join(f"SELECT raw FROM {view} WHERE log_source = '{name}'" for view in ("content", "unparsed"))
    run_query(site.parts, sql, purpose="test", actor="system:test", render=render)
    return sorted(rows)


def test_lines_are_answered_with_their_place_and_archived_once(site, shop) -> None:
    answer = send(shop, Idempotency_Key="first")
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["source"], said["start"], said["end"], said["lines"], said["repeated"]) == (
        "posts",
        0,
        len(LINES),
        2,
        False,
    )
    assert send(shop, Idempotency_Key="first").json() == {**said, "repeated": True}
    third = send(shop, gzip.compress(b"not json\n\n{}"), Content_Encoding="gzip").json()
    assert (third["start"], third["lines"]) == (said["end"], 3)
    rows = archived(site)
    assert rows == sorted([b"not json", b"{}", *LINES.splitlines()])
    assert archived(site) == rows, "a second run adds nothing"
    with site.parts.catalogue.read() as connection:
        assert (
            connection.execute(partitions.select().where(partitions.c.source == "posts")).one().cursor == third["end"]
        )
        found = connection.execute(batches.select().where(batches.c.source == "posts")).all()
        assert (sum(row.records for row in found), sum(row.blanks for row in found)) == (4, 1)
    intake = site.parts.intake
    intake.tend()
    assert intake.figures()["posts"].backlog == 0


def test_another_account_s_keys_are_its_own(site, shop) -> None:
    assert send(shop, source="orders", Idempotency_Key="k").json()["repeated"] is False
    assert send(site.api("other"), source="orders", Idempotency_Key="k").json()["repeated"] is False
    conflict = send(shop, b"other lines\n", source="orders", Idempotency_Key="k")
    assert (conflict.status_code, conflict.json()["error"]) == (409, "IntakeConflictError")


def test_only_programs_with_the_right_may_send(site) -> None:
    assert send(site.api(None)).status_code == 401
    for name in ("reviewer", "head", "auditor", "sysadmin", "secadmin", "nobody"):
        assert send(site.client("/v1", headers={"Authorization": "Bearer lct_wrong"})).status_code == 401
        if name != "nobody":
            assert send(site.api(name)).status_code == 403
    shop = site.api("shop")
    assert shop.get("/tickets").status_code == 403
    assert shop.get("/overview").status_code == 403


BOMB = gzip.compress(bytes(64 << 20), mtime=0)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b" \n\r\n\t\n", {}, 400),
        (LINES, {"Content-Type": "application/json"}, 415),
        (LINES, {"Content-Encoding": "br"}, 415),
        (LINES, {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(LINES, mtime=0)[:-4], {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(LINES, mtime=0) + b"rest", {"Content-Encoding": "gzip"}, 400),
        (BOMB, {"Content-Encoding": "gzip"}, 413),
        (b"x" * (1 << 20) + b"\n", {}, 413),
        (b"x\n" * (1 << 20), {}, 413),
        (b"ok\n" + b"x" * (65 << 10) + b"\nok\n", {}, 413),
        (b"ok\n" + b"x" * (65 << 10), {}, 413),
        (b"x" * (13 << 20), {}, 413),
        (LINES, {"Idempotency-Key": "k" * 257}, 422),
    ],
)
def test_what_is_refused_and_why(site, shop, body, headers, status) -> None:
    before = {name: (f.requests, f.bytes) for name, f in site.parts.intake.figures().items()}
    answer = shop.post("/logs", params={"source": "posts"}, content=body, headers={**NDJSON, **headers})
    assert answer.status_code == status, answer.text
    if status != 413 or len(body) < 12 << 20:
        assert set(answer.json()) == {"error", "what", "cure"}
    assert {name: (f.requests, f.bytes) for name, f in site.parts.intake.figures().items()} == before


@pytest.mark.parametrize("body", [b"\0\0\n", b"\xff\xfe\n", b'{"a":' * 1000 + b"\n", b"a\rb\n", b'{"a":1}\r\n'])
def test_any_bytes_are_taken_and_archived_as_they_came(site, shop, body) -> None:
    assert send(shop, body).status_code == 200
    assert archived(site)


def test_several_members_of_gzip_are_one_body(shop) -> None:
    body = gzip.compress(b"a\n") + gzip.compress(b"b\n")
    assert send(shop, body, source="orders", Content_Encoding="gzip").json()["lines"] == 2


def test_a_source_must_be_declared(shop) -> None:
    assert send(shop, source="nowhere").status_code == 404
    unsaid = shop.post("/logs", content=LINES, headers=NDJSON)
    assert unsaid.status_code == 404
    assert "posts, orders" in unsaid.json()["cure"]


def test_more_than_can_be_held_is_refused_for_a_second(site, shop) -> None:
    with site.parts.intake.arriving(64 << 20):
        answer = send(shop)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert send(shop).status_code == 200


def test_where_nothing_is_declared_nothing_is_taken(console) -> None:
    make_account(console.parts.catalogue, "shop", Role.COLLECTOR)
    answer = send(console.api("shop"))
    assert (answer.status_code, answer.json()["error"]) == (503, "IntakeFullError")


@pytest.mark.parametrize(
    "change", [{"format": "csv"}, {"paths": ["/x"]}, {"kafka": {"brokers": ["h:1"], "topics": ["t"]}}]
)
def test_a_declaration_has_nothing_of_other_kinds(change) -> None:
    declared = {"name": "s", "kind": "collector", "record_class": "content", "format": "ndjson", **change}
    with pytest.raises(ValueError, match="kind collector"):
        SourceSpec.model_validate(declared)


def test_the_journal_shows_nothing_in_the_clear(site, shop) -> None:
    assert send(shop, json.dumps({"text": "unmistakable words"}).encode()).status_code == 200
    for path in (site.parts.root / "intake").rglob("*"):
        if path.is_file():
            assert b"unmistakable" not in path.read_bytes()
            assert path.stat().st_mode & 0o077 == 0
