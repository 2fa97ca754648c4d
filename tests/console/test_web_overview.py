"""The pages over HTTP, without script: the overview, its live counts, and what the page of reports lacks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from console.reading import overview
from console.reading.company import details
from tests.console.running import running
from tickets.reports.templates import templates
from tickets.settings import CompanySettings


def test_the_overview_says_what_a_compliance_head_must_know(console) -> None:
    person = console.person("head")
    number = console.open_ticket("澳门赌场上线送彩金", category="gambling", content_id="overview-1")
    person.post(f"/tickets/{number}/confirm", decision="illegal", reason="赌博")
    with console.parts.catalogue.read() as connection:
        counted = overview.work(connection, console.parts.calendar(), "user:head")
        later = datetime.now(UTC) + timedelta(hours=25)
        late = overview.work(connection, console.parts.calendar(), "user:head", now=later)
    assert counted.police >= 1
    assert counted.police_late == 0
    assert late.police_late == late.police == counted.police
    said = {one.text for one in overview.warnings(console.parts, late, now=later)}
    assert "%(n)s 张工单报公安机关的时限已过。" in said
    assert any("没有托管副本" in text for text in said)
    bare = replace(console.parts, company=CompanySettings())
    lacking = {one.text for one in overview.warnings(bare, None)}
    assert any("许可证到期日没有填写" in text for text in lacking)
    assert any("报告将缺这些内容" in text for text in lacking)
    whole = CompanySettings(
        name="留存科技",
        licence_number="粤B2-1",
        domains=("a.cn",),
        reporter="王",
        phone="1",
        licence_expires_on=later.date(),
    )
    told = {one.text for one in overview.warnings(replace(console.parts, company=whole), None)}
    assert not any("[company]" in text for text in told)
    page = person.get("/").text
    for waits in ("police", "approval", "appeal"):
        assert f'href="/queue?waits={waits}"' in page
    reports = person.get("/reports").text
    assert "报告单位" in reports
    assert "许可证编号" in reports


def test_live_counts(console) -> None:
    counts = console.person("reviewer").get("/live").json()
    assert counts["open"] == counts["dispose"] + counts["report"]
    assert console.person("sysadmin").get("/live").json() == {}


def test_what_the_company_s_details_lack_is_said_with_what_cannot_be_done(console) -> None:
    whole = CompanySettings(name="留存科技<b>", licence_number="粤B2-1", domains=("a.cn", "b.cn"))
    told = {one.field: one for one in details(whole, templates())}
    assert set(told) == set(CompanySettings.model_fields) - {"fonts", "report_templates"}
    assert {name for name, one in told.items() if one.stops} == {"name", "licence_number"}
    assert told["domains"].value == "a.cn b.cn"
    assert told["phone"].shown_in == ("telecom", "police", "cyberspace")
    assert told["licence_expires_on"].shown_in == ()
    page = console.person("head").get("/reports").text
    assert "现在不能起草任何报告" not in page
    assert "可以起草，但这些报告中此项为空：电信主管部门、公安机关、网信部门" in page
    assert '<option value="cyberspace">网信部门</option>' in page


def test_the_page_of_reports_stands_without_details_and_with_damaged_templates(console) -> None:
    number = console.open_ticket(content_id="no-company")
    with running(replace(console.parts, company=CompanySettings(name=" "))) as bare:
        person = bare.person("head")
        page = person.get("/reports").text
        assert "现在不能起草任何报告。" in page
        assert "缺少：单位名称、许可证编号。" in page
        drafted = person.post("/reports/draft", tickets=number)
        assert (drafted.status_code, "lack name, licence_number" in drafted.text) == (400, True)
    with running(replace(console.parts, company=CompanySettings(report_templates="no-such-file.toml"))) as damaged:
        page = damaged.person("head").get("/reports")
        assert (page.status_code, "no-such-file.toml: it cannot be read" in page.text) == (500, True)
        assert 'action="/reports/draft"' not in page.text
