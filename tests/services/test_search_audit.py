"""``liucun audit index`` on a real Elasticsearch: it passes what is right and names every kind of damage."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from liucun.index_following import following, step
from liucun.store import OpenStore, open_store
from retention.audits.making import verified_log
from retention.audits.report import AuditReport, Severity
from retention.persons.restriction import restrict
from retention.search import book, compare
from retention.search.audit import audit_index
from tests.services.indexed import FILES, RECORDS, Indexed

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]


def followed(opened: OpenStore) -> None:
    while step(opened)["behind"]:
        pass


def audit(opened: OpenStore, *, sample: int | None = None) -> AuditReport:
    verdict = verified_log(opened.store.log)
    return audit_index(following(opened, wait=30), sample=sample, verdict=verdict)


def kinds(report: AuditReport, severity: Severity = Severity.FAULT) -> list[str]:
    return sorted(found.kind for found in report.findings if found.severity is severity)


def test_what_is_right_passes(copied: Indexed) -> None:
    with open_store(copied.store, ()) as opened:
        waits = audit(opened)
        assert waits.ok, "not indexed yet is no fault"
        segments = waits.checked["unindexed_segments"]
        assert isinstance(segments, int)
        assert segments >= FILES
        assert waits.checked["documents"] == 0
        followed(opened)
        whole = audit(opened)
        assert whole.findings == []
        compared = ("segments", "documents", "compared_documents", "compared_segments", "unindexed_segments")
        assert [whole.checked[name] for name in compared] == [segments, RECORDS, RECORDS, segments, 0]
        sampled = audit(opened, sample=1).checked
        assert (sampled["documents"], sampled["compared_segments"]) == (RECORDS, 1)

        restrict(opened.store, "person-3", ground="第四十七条", actor="account:ben", now=datetime.now(UTC))
        fresh = audit(opened)
        assert fresh.ok, "the index has a minute to forget a person"
        assert kinds(fresh, Severity.NOTICE) == [compare.RESTRICTED]
        followed(opened)
        checked = audit(opened).checked
        left = RECORDS - RECORDS // 20
        assert (checked["documents"], checked["compared_documents"]) == (left, left)
    copied.fine("compact", "--json")
    with open_store(copied.store, ()) as opened:
        followed(opened)
        merged = audit(opened)
        assert merged.findings == []
        assert (merged.checked["segments"], merged.checked["compared_documents"]) == (1, left)
    report = copied.folder / "audit.html"
    everything = json.loads(copied.fine("audit", "all", "--json", "--html", str(report)))
    assert everything["reports"]["index"]["checked"]["compared_documents"] == left
    assert "检索索引审计" in report.read_text(encoding="utf-8")


def test_damage_is_named_and_mended(copied: Indexed) -> None:
    ask = copied.server.ask
    with open_store(copied.store, ()) as opened:
        restrict(opened.store, "person-3", ground="第四十七条", actor="account:ben", now=datetime.now(UTC))
        followed(opened)
        (index,) = copied.indices()
        documents = copied.documents()
        names = sorted({document["liucun.segment"] for document in documents})
        of = [[doc for doc in documents if doc["liucun.segment"] == name] for name in names[:3]]
        with following(opened) as follower:
            writer = follower.writer(book.state_of(opened.catalogue, follower.settings))
            with opened.catalogue.read() as connection:
                key_ids = sorted({one.key_id for one in book.labels_of(connection, names)})
            (person,) = writer.hashes("person-3", key_ids)

        def put(name: str, document: dict[str, Any]) -> None:
            body = {key: item for key, item in document.items() if not key.startswith("_")}
            ask("PUT", f"/{index}/_doc/{name}", body)

        first, second, third, *_ = of[0]
        put(first["_id"], {**first, "liucun.text": "改过的一条"})
        # Two that changed places: as many documents, and none of a text that is nowhere in the archive.
        put(second["_id"], third)
        altered = audit(opened)
        assert kinds(altered) == [compare.ALTERED], "as many documents as before: only their contents tell"
        (said,) = altered.findings
        assert "2 altered" in said.detail
        assert first["_id"] in said.detail
        assert "改过" not in said.detail, "a finding holds no content"
        with following(opened) as follower:
            assert compare.reconcile(follower, mend=False).ok, "the number of documents is right"

        # One of another segment gone, and one of nobody's record in its place: only contents tell that, too.
        ask("DELETE", f"/{index}/_doc/{of[1][0]['_id']}")
        put("f" * 24 + "-1", of[1][0])
        # Restricted in the index again, behind the follower's back; and one of no segment.
        put("restricted", {**of[2][0], "liucun.persons": [person]})
        put("nobody", {**first, "liucun.segment": "S-of-nobody"})
        expected = [compare.ALTERED, compare.MISSING, compare.ORPHANS, compare.RESTRICTED, compare.SURPLUS]
        assert kinds(audit(opened)) == sorted(expected)

    told = copied.call("audit", "index", "--json")
    assert told.returncode == 1, told.stderr
    assert len(json.loads(told.stdout)["findings"]) == len(expected)
    mended = json.loads(copied.fine("index", "reconcile", "--contents", "--json"))
    assert (mended["ok"], mended["mended"]) == (True, len(mended["findings"]))
    with open_store(copied.store, ()) as opened:
        assert audit(opened).findings == []
    copied.agree()


def test_a_cluster_that_cannot_be_asked(copied: Indexed) -> None:
    alone = copied.call("audit", "index", LIUCUN_SEARCH_PASSWORD="wrong")
    assert alone.returncode == 9, alone.stderr
    assert "Traceback" not in alone.stderr
    away = f"{copied.server.url.partition(':')[0]}://127.0.0.1:9"
    copied.settings(copied.server.url, away)
    assert copied.call("audit", "index").returncode == 8
    everything = copied.call("audit", "all", "--json")
    assert everything.returncode == 1, "the other audits are made all the same"
    said = json.loads(everything.stdout)["reports"]
    assert [found["kind"] for found in said["index"]["findings"]] == ["unread"]
    assert said["integrity"]["ok"]
    copied.settings(f'urls = ["{away}"]\n', "")
    off = copied.call("audit", "index")
    assert off.returncode == 3
    assert "docs/search.md" in off.stderr
