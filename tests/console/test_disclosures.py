"""The console's disclosure requests: three people, masked accounts, a sealed bundle, single keys taken back."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from console.labels import FIELDS
from retention.catalogue.tables import events
from retention.disclosure import bundle, requests
from retention.disclosure.tables import disclosures
from retention.disclosure.verify import verify
from tests.retention.sealed_store import SealedStore, hours

PASSWORD = "a long enough password"
FORM = {
    "authority": "某市公安局",
    "case_number": "网安〔2026〕17号",
    "basis": "网络安全法 第三十条",
    "reason": "调查电信诈骗",
    "accounts": "account-u1\r\naccount-u3\r\n",
    "record_class": "user_log",
    "field": ["source_ip", "event_id"],
    "since": "2026-03-01T08:00",
    "until": "2026-03-02T08:00",
    "days": "30",
}


@pytest.fixture(scope="module")
def stored(console):
    """Two days of ten accounts."""
    parts = console.parts
    store = SealedStore(parts.root, parts.catalogue, parts.objects, parts.archive, parts.bodies, parts.period_keys)
    store.add([{**row, "user_id": f"account-{row['user_id']}"} for row in hours(48)], partition="pages.log#1")
    return console


def requested(console, who: str = "reviewer", **changes) -> str:
    """A request by somebody, over the page; its number."""
    answer = console.person(who).post(
        "/disclosures", files={"document": ("文书.pdf", b"%PDF-1.7 case", "application/pdf")}, **{**FORM, **changes}
    )
    assert answer.status_code == 303, re.findall(r'role="alert".*?</div>', answer.text)
    return answer.headers["location"].rpartition("/")[2]


def approved(console) -> str:
    """A request that the compliance head and the security administrator approved."""
    number = requested(console)
    for who in ("head", "secadmin"):
        assert console.person(who).post(f"/disclosures/{number}/approve").status_code == 303
    return number


def kinds(console, number: str) -> list[tuple[str, str]]:
    with console.parts.catalogue.read() as connection:
        asked = sa.select(events.c.kind, events.c.actor).where(events.c.subject == f"disclosure:{number}")
        return [tuple(row) for row in connection.execute(asked.order_by(events.c.id))]


def test_a_request_goes_its_way_and_everything_is_on_record(stored) -> None:
    number = approved(stored)
    head = stored.person("head")
    page = head.get(f"/disclosures/{number}").text
    assert "已批准" in page
    sealed = head.post(f"/disclosures/{number}/export", password=PASSWORD, again=PASSWORD)
    assert sealed.status_code == 200
    assert f'filename="{number}-1.zip"' in sealed.headers["content-disposition"]
    verdict = verify(bundle.unseal(sealed.content, password=PASSWORD))
    assert verdict.rows == {"data/user_log.csv": 6}
    made = head.post(f"/disclosures/{number}/keys")
    key = re.search(r"lcd_[\w-]+", made.text)[0]
    assert key not in head.get(f"/disclosures/{number}").text, "a key is shown once"
    assert kinds(stored, number) == [
        ("disclosure.requested", "user:reviewer"),
        ("disclosure.approved", "user:head"),
        ("disclosure.approved", "user:secadmin"),
        ("disclosure.exported", "user:head"),
        ("disclosure.key_issued", "user:head"),
    ]
    with stored.api(None) as authority:
        authority.headers["Authorization"] = f"Bearer {key}"
        assert authority.get("/disclosure/records/user_log").status_code == 200
    shown = head.get(f"/disclosures/{number}").text
    assert "经接口提供数据" in shown
    assert "6 行" in shown


def test_one_key_is_taken_back_and_the_other_stays(stored) -> None:
    number = approved(stored)
    head = stored.person("head")
    first, second = (re.search(r"lcd_[\w-]+", head.post(f"/disclosures/{number}/keys").text)[0] for _ in range(2))
    ids = {key: bundle.digests_of(key.encode())["sha256"][:12] for key in (first, second)}
    assert head.post(f"/disclosures/{number}/keys/{ids[first]}/revoke").status_code == 303
    assert head.post(f"/disclosures/{number}/keys/{ids[first]}/revoke").status_code == 404
    assert head.post(f"/disclosures/{number}/keys/%00/revoke").status_code == 404
    with stored.api(None) as authority:
        for key, status in ((first, 401), (second, 200)):
            answer = authority.get("/disclosure", headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == status
    assert ("disclosure.key_revoked", "user:head") in kinds(stored, number)


def test_nobody_approves_alone_twice_or_their_own(stored) -> None:
    number = requested(stored, "head")
    head, security = stored.person("head"), stored.person("secadmin")
    page = head.get(f"/disclosures/{number}").text
    assert f'action="/disclosures/{number}/approve"' not in page
    assert head.post(f"/disclosures/{number}/approve").status_code == 403
    assert "等待您批准" in security.get("/disclosures").text
    assert security.post(f"/disclosures/{number}/approve").status_code == 303
    assert "等待您批准" not in security.get("/disclosures?page=1").text.split(number)[1].split("</tr>")[0]
    assert security.post(f"/disclosures/{number}/approve").status_code == 403
    refused = head.post(f"/disclosures/{number}/export", password=PASSWORD, again=PASSWORD)
    assert refused.status_code == 409
    assert head.post(f"/disclosures/{number}/keys").status_code == 409
    assert stored.person("reviewer").post(f"/disclosures/{number}/approve").status_code == 403
    assert requests.read(stored.parts, number).state == "requested"


def test_accounts_are_masked_until_a_reason_is_on_record(stored) -> None:
    number = requested(stored, accounts="17712345678\naccount-u1")
    for who in ("reviewer", "secadmin", "auditor"):
        assert "17712345678" not in stored.person(who).get(f"/disclosures/{number}").text
    person = stored.person("secadmin")
    assert person.post(f"/disclosures/{number}/reveal", reason=" ").status_code == 400
    assert person.post(f"/disclosures/{number}/reveal", reason="核对案件文书").status_code == 303
    assert "17712345678" in person.get(f"/disclosures/{number}").text
    assert ("personal.revealed", "user:secadmin") in kinds(stored, number)
    auditor = stored.person("auditor")
    assert auditor.post(f"/disclosures/{number}/reveal", reason="x").status_code == 403
    assert auditor.get(f"/disclosures/{number}/document").status_code == 403
    taken = person.get(f"/disclosures/{number}/document")
    assert taken.content == b"%PDF-1.7 case"
    assert "case.pdf" in taken.headers["content-disposition"]
    assert kinds(stored, number)[-1] == ("disclosure.document_read", "user:secadmin")
    assert "17712345678" not in stored.api("head").get(f"/disclosures/{number}").text


def test_what_is_wrong_is_said_and_what_was_typed_stays(stored) -> None:
    person = stored.person("reviewer")
    document = {"document": ("x.pdf", b"%PDF", "application/pdf")}
    for changes, files in (
        ({"accounts": " \r\n"}, document),
        ({"record_class": "nothing"}, document),
        ({"field": []}, document),
        ({"field": ["no_such"]}, document),
        ({"until": "2026-02-01T00:00"}, document),
        ({"since": ""}, document),
        ({"since": "yesterday"}, document),
        ({"days": "91"}, document),
        ({"days": "١"}, document),
        ({"basis": " "}, document),
        ({}, {"document": ("x.pdf", b"", "application/pdf")}),
        ({}, {"document": ("", b"", "application/octet-stream")}),
        ({}, None),
    ):
        answer = person.post("/disclosures", files=files, **{**FORM, **changes})
        assert answer.status_code == 400, changes
        assert 'role="alert"' in answer.text
        assert "网安〔2026〕17号" in answer.text
    head = stored.person("head")
    number = approved(stored)
    key = {"recipient": ("key.pem", b"no key", "application/x-pem-file")}
    for fields, files in (
        ({"password": "short", "again": "short"}, None),
        ({"password": PASSWORD, "again": "another password"}, None),
        ({}, None),
        ({}, key),
        ({"password": PASSWORD, "again": PASSWORD}, key),
    ):
        assert head.post(f"/disclosures/{number}/export", files=files, **fields).status_code in {400, 403}
    assert "disclosure.exported" not in dict(kinds(stored, number)), "nothing was handed out"


def test_a_request_ends_when_refused_withdrawn_or_expired(stored) -> None:
    number = approved(stored)
    head = stored.person("head")
    assert stored.person("reviewer2").post(f"/disclosures/{number}/refuse", reason="x").status_code == 403
    assert head.post(f"/disclosures/{number}/refuse", reason="").status_code == 400
    assert stored.person("secadmin").post(f"/disclosures/{number}/refuse", reason="案件已撤销").status_code == 303
    page = head.get(f"/disclosures/{number}").text
    assert "案件已撤销" in page
    assert head.post(f"/disclosures/{number}/export", password=PASSWORD, again=PASSWORD).status_code == 409
    assert head.post(f"/disclosures/{number}/refuse", reason="again").status_code == 409
    own = requested(stored)
    assert stored.person("reviewer").post(f"/disclosures/{own}/refuse", reason="填错了").status_code == 303
    assert head.post(f"/disclosures/{own}/approve").status_code == 409
    late = approved(stored)
    past = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    with stored.parts.catalogue.write() as connection:
        connection.execute(disclosures.update().where(disclosures.c.disclosure_id == late).values(expires_at=past))
    assert "已过期" in head.get(f"/disclosures/{late}").text
    assert head.post(f"/disclosures/{late}/export", password=PASSWORD, again=PASSWORD).status_code == 409
    assert head.post(f"/disclosures/{late}/keys").status_code == 409


def test_pages_are_whole_in_both_languages_and_for_strange_addresses(stored) -> None:
    number = requested(stored, reason="<script>alert(1)</script> & 𠮷 \u202e", accounts="a<b>&'\"")
    head = stored.person("head")
    for language, title in (("en", "Disclosure to an authority"), ("zh", "向主管部门提供数据")):
        head.get("/disclosures")
        assert head.post("/language", language=language, target="/disclosures").status_code == 303
        assert title in head.get("/disclosures").text
        page = head.get(f"/disclosures/{number}").text
        assert "<script>alert" not in page
        if language == "en":
            assert not re.search("[\u4e00-\u9fff]", re.sub(r"<[^>]+>", "", page.split("</dl>")[2].split("<dialog")[0]))
    for path in ("/disclosures/none", "/disclosures/%00", "/disclosures/D" + "x" * 500, "/disclosures/none/document"):
        assert head.get(path).status_code == 404, path
    assert head.get("/disclosures?page=0").status_code == 400
    assert head.get("/disclosures?page=20000").status_code == 200
    assert {"user_id", "event_time"} <= set(FIELDS)


def test_the_interface_lists_approves_and_stops(stored) -> None:
    number = requested(stored)
    head, reviewer = stored.api("head"), stored.api("reviewer")
    assert number in [item["disclosure_id"] for item in head.get("/disclosures").json()["items"]]
    assert reviewer.post(f"/disclosures/{number}/approve").status_code == 403
    assert head.post(f"/disclosures/{number}/approve").json()["approvers"] == ["user:head"]
    assert head.post(f"/disclosures/{number}/approve").status_code == 403
    assert reviewer.post(f"/disclosures/{number}/refuse", json={"reason": "填错了"}).json()["state"] == "refused"
    assert head.get("/disclosures/none").status_code == 404
