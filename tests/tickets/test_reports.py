"""Reports: from tickets to the authority and back, and the files that people open."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import docx
import pypdf
import pytest
import typst

from errors import IntegrityError, NotPermittedError, SettingsError, UsageError
from retention.catalogue.engine import Catalogue
from retention.errors import FontMissingError
from retention.printing.coverage import covered, missing
from retention.printing.fonts import choose
from retention.segments import Archive
from tests.tickets.conftest import PlainBodies
from tests.tickets.test_opening import CONTENT, take
from tickets.actors import Actor, Role
from tickets.calendar.reading import shipped_calendar
from tickets.errors import ReportError, SecondPersonError, TransitionError
from tickets.queue import get_ticket, list_tickets, ticket_detail
from tickets.reports.export import Format, export
from tickets.reports.filing import ReportBook
from tickets.reports.register import list_reports, open_report
from tickets.reports.templates import templates
from tickets.settings import CompanySettings, TicketSettings
from tickets.states import Decision, Measure, State
from tickets.tables_sending import reports

COMPANY = CompanySettings(
    name="留存科技有限公司",
    licence_number="粤B2-20260001",
    domains=("shop.example.cn", "m.shop.example.cn"),
    access_provider="中国电信",
    reporter="王芳",
    phone="020-00000000",
)
MING = Actor("ming", frozenset({Role.REVIEWER}))
WANG = Actor("wang", frozenset({Role.COMPLIANCE_HEAD}))
EFFECTIVE = datetime(2026, 11, 23, 3, tzinfo=UTC)
HOSTILE = '=HYPERLINK("x") \x00\x1b[31m #eval("1") $x$ <w:t>&amp; \u202e赌场 *粗* 换行\n第二行😀'


@pytest.fixture
def book(catalogue: Catalogue, bodies: PlainBodies, archive: Archive) -> ReportBook:
    return ReportBook(catalogue, bodies, shipped_calendar(), MING, company=COMPANY, archive=archive)


def by(book: ReportBook, who: Actor) -> ReportBook:
    return replace(book, actor=who)


def disposed(
    book: ReportBook, count: int = 3, text: str = "赌场 开户送彩金", decision: Decision = Decision.ILLEGAL
) -> list[str]:
    known = {ticket.ticket_id for ticket in everything(book)}
    contents = [replace(CONTENT, content_id=f"c{len(known)}-{n}", text=text, reach=1200) for n in range(count)]
    take(book.catalogue, book.bodies, *contents)
    ids = sorted(ticket.ticket_id for ticket in everything(book) if ticket.ticket_id not in known)
    for number in ids:
        book.confirm(number, decision, "赌博广告")
        book.dispose(number, Measure.DELETE, effective_at=EFFECTIVE)
    return ids


def everything(book: ReportBook):
    with book.catalogue.read() as connection:
        return list_tickets(connection, limit=1000)


def data_of(book: ReportBook, number: str):
    with book.catalogue.read() as connection:
        return open_report(connection, book.bodies, number)


def state(book: ReportBook, number: str) -> str:
    with book.catalogue.read() as connection:
        return get_ticket(connection, number).state


def test_many_tickets_in_one_report_from_draft_to_receipt(book: ReportBook) -> None:
    ids = disposed(book)
    draft = book.draft(ids, summary="三条赌博广告已删除。")
    assert (draft.state, draft.tickets) == ("draft", tuple(ids))
    assert draft.due_at == "2026-12-07T09:00:00.000000Z", "the earliest due date governs, at close of business"
    with pytest.raises(NotPermittedError):
        book.approve_report(draft.report_id)
    head = by(book, WANG)
    with pytest.raises(ReportError, match="not approved"):
        head.submit(draft.report_id, "平台")
    assert head.approve_report(draft.report_id).approved_by == "wang"
    head.submit(draft.report_id, "省通信管理局报送平台", receipt="SUB-1")
    assert {state(book, number) for number in ids} == {State.REPORTED}
    with pytest.raises(Exception, match="report as a whole"):
        head.acknowledge(ids[0], "HZ")
    assert head.acknowledge_report(draft.report_id, "HZ-2026-88").state == "acknowledged"
    assert {state(book, number) for number in ids} == {State.ACKNOWLEDGED}
    said = data_of(book, draft.report_id)
    assert (said["receipt"], said["approved_by"], said["counts"]["tickets"]) == ("HZ-2026-88", "wang", 3)
    assert said["tickets"][0]["days"] == "自 2026-11-23 次日起, 第 10 个工作日为 2026-12-07"
    assert len(said["tickets"][0]["evidence_sm3"][0]) == 64


def test_a_head_does_not_approve_what_they_triaged(book: ReportBook) -> None:
    head = by(book, WANG)
    ids = disposed(head, 1)
    draft = book.draft(ids)
    with pytest.raises(SecondPersonError):
        head.approve_report(draft.report_id)
    assert by(book, Actor("li", frozenset({Role.COMPLIANCE_HEAD}))).approve_report(draft.report_id).state == "approved"


def test_a_rejected_report_reopens_with_the_original_date(book: ReportBook) -> None:
    (number,) = disposed(book, 1)
    head = by(book, WANG)
    first = book.draft([number])
    head.approve_report(first.report_id)
    head.submit(first.report_id, "邮寄")
    head.reject_report(first.report_id, "材料不全")
    with book.catalogue.read() as connection:
        ticket = get_ticket(connection, number)
    assert (ticket.state, ticket.due_on, ticket.report_id) == (State.DISPOSED, "2026-12-07", None)
    assert book.draft([number]).report_id == "R2026-000002"


def test_a_reversal_after_the_report_goes_out_as_a_correction(book: ReportBook) -> None:
    ids = disposed(book, 2)
    head = by(book, WANG)
    first = book.draft(ids)
    head.approve_report(first.report_id)
    head.submit(first.report_id, "平台")
    head.acknowledge_report(first.report_id, "HZ-1")
    book.appeal(ids[0], "账号主人申诉")
    assert head.reverse(ids[0], "申诉成立").correction_needed
    with pytest.raises(ReportError, match="needs no correction"):
        book.draft([ids[1]], corrects=first.report_id)
    correction = book.draft([ids[0]], corrects=first.report_id, summary="误判, 已恢复。")
    head.approve_report(correction.report_id)
    head.submit(correction.report_id, "平台")
    with book.catalogue.read() as connection:
        ticket = get_ticket(connection, ids[0])
    assert (ticket.state, ticket.correction_needed) == (State.REVERSED, False)
    text = text_of(export(data_of(book, correction.report_id), Format.DOCX))
    assert first.report_id in text
    assert "撤销处置并恢复" in text


def test_the_police_have_their_own_report(book: ReportBook) -> None:
    (number,) = disposed(book, 1)
    draft = book.draft([number], recipient="police")
    head = by(book, WANG)
    head.approve_report(draft.report_id)
    head.submit(draft.report_id, "网安支队")
    with book.catalogue.read() as connection:
        ticket = get_ticket(connection, number)
    assert ticket.police_reported_at
    assert ticket.state == State.DISPOSED, "the ten days run on"
    assert book.draft([number]).recipient == "telecom"


def sent(book: ReportBook, ids: list[str], recipient: str, **more) -> str:
    draft = book.draft(ids, recipient=recipient, **more)
    head = by(book, WANG)
    head.approve_report(draft.report_id)
    head.submit(draft.report_id, "平台")
    return draft.report_id


def test_only_a_report_to_the_telecom_authority_ends_the_ten_days_of_what_is_illegal(book: ReportBook) -> None:
    (number,) = disposed(book, 1)
    draft = book.draft([number], recipient="cyberspace")
    assert draft.due_at is None, "no day is set for it"
    book.withdraw(draft.report_id)
    first = sent(book, [number], "cyberspace")
    with book.catalogue.read() as connection:
        ticket = get_ticket(connection, number)
        kinds = [event["kind"] for event in ticket_detail(connection, book.bodies, number).timeline]
    assert (ticket.state, ticket.reported_at) == (State.DISPOSED, None), "the ten days run on"
    assert "ticket.also_reported" in kinds
    with pytest.raises(ReportError, match="stands in the report"):
        book.draft([number], recipient="cyberspace")
    second = sent(book, [number], "telecom")
    said = data_of(book, second)["tickets"][0]["other_reports"]
    assert said.startswith("网信部门 20")
    head = by(book, WANG)
    head.reject_report(first, "退回补充")
    head.acknowledge_report(second, "HZ-1")
    with book.catalogue.read() as connection:
        assert get_ticket(connection, number).state == State.ACKNOWLEDGED
    again = sent(book, [number], "cyberspace")
    head.acknowledge_report(again, "WX-1")
    with book.catalogue.read() as connection:
        assert get_ticket(connection, number).receipt == "HZ-1"


def test_what_is_harmful_goes_to_the_authority_that_is_competent_for_it(book: ReportBook) -> None:
    milder = TicketSettings.model_validate({"defaults": {"gambling": "harmful"}})
    (number,) = disposed(replace(book, settings=milder), 1, decision=Decision.HARMFUL)
    sent(book, [number], "cyberspace")
    with book.catalogue.read() as connection:
        assert get_ticket(connection, number).state == State.REPORTED


def test_every_body_that_was_told_is_told_of_a_reversal(book: ReportBook) -> None:
    (number,) = disposed(book, 1)
    out = {to: sent(book, [number], to) for to in ("police", "cyberspace", "telecom")}
    head = by(book, WANG)
    assert head.reverse(number, "误判").correction_needed
    for count, (to, first) in enumerate(out.items(), 1):
        sent(book, [number], to, corrects=first)
        with book.catalogue.read() as connection:
            assert get_ticket(connection, number).correction_needed == (count < 3)
        with pytest.raises(ReportError, match=r"needs no correction|stands in"):
            book.draft([number], recipient=to, corrects=first)


def test_what_only_the_police_were_told_is_corrected_there(book: ReportBook) -> None:
    (number,) = disposed(book, 1)
    first = sent(book, [number], "police")
    assert by(book, WANG).reverse(number, "误判").correction_needed
    sent(book, [number], "police", corrects=first)
    with book.catalogue.read() as connection:
        assert not get_ticket(connection, number).correction_needed


def needed(book: ReportBook, number: str) -> bool:
    with book.catalogue.read() as connection:
        return get_ticket(connection, number).correction_needed


def test_who_was_told_outside_is_told_of_a_reversal_and_that_is_recorded(book: ReportBook) -> None:
    """Neither the correction of a report made here nor anything else takes the place of it."""
    (number,) = disposed(book, 1)
    head = by(book, WANG)
    first = sent(book, [number], "police")
    head.report(number, "传真 17")
    assert "公安机关" not in (data_of(book, first)["tickets"][0]["other_reports"] or "")
    with pytest.raises(TransitionError, match="No correction"):
        head.correct_outside(number, "传真 18")
    assert head.reverse(number, "误判").correction_needed
    with pytest.raises(ReportError, match=r"cannot be corrected|no report"):
        book.draft([number], corrects="R2026-999999")
    second = sent(book, [number], "police", corrects=first)
    assert needed(book, number), "the telecom authority was told by fax, and does not know yet"
    assert "电信" in data_of(book, second)["tickets"][0]["other_reports"]
    with pytest.raises(NotPermittedError):
        book.correct_outside(number, "传真 18")
    assert not head.correct_outside(number, "传真 18").correction_needed
    with pytest.raises(TransitionError, match="No correction"):
        head.correct_outside(number, "传真 18")
    head.reject_report(second, "退回补充")
    assert needed(book, number), "the police sent the correction back"


def test_a_report_that_is_sent_back_after_the_reversal_has_nothing_to_correct(book: ReportBook) -> None:
    (number,) = disposed(book, 1)
    out = {to: sent(book, [number], to) for to in ("police", "cyberspace", "telecom")}
    head = by(book, WANG)
    head.reverse(number, "误判")
    sent(book, [number], "telecom", corrects=out["telecom"])
    head.reject_report(out["cyberspace"], "不属我部")
    assert needed(book, number), "the police are not told yet"
    head.reject_report(out["police"], "退回")
    assert not needed(book, number)


def test_a_draft_to_another_body_outlives_the_report_to_the_telecom_authority(book: ReportBook) -> None:
    (number,) = disposed(book, 1)
    draft = book.draft([number], recipient="cyberspace")
    sent(book, [number], "telecom")
    head = by(book, WANG)
    head.approve_report(draft.report_id)
    head.submit(draft.report_id, "平台")
    again = book.draft([number], recipient="police")
    head.reverse(number, "误判")
    with pytest.raises(ReportError, match="changed"):
        head.approve_report(again.report_id)


def test_a_ticket_stands_in_one_live_report_only(book: ReportBook) -> None:
    ids = disposed(book, 2)
    draft = book.draft(ids)
    with pytest.raises(ReportError, match="stands in the report"):
        book.draft(ids[:1])
    book.withdraw(draft.report_id)
    assert book.draft(ids[:1]).state == "draft"


def test_what_changed_since_the_draft_is_not_approved(book: ReportBook) -> None:
    (number,) = disposed(book, 1)
    draft = book.draft([number])
    book.set_effective(number, datetime(2026, 11, 23, 2, tzinfo=UTC), "平台日志更早")
    with pytest.raises(ReportError, match="changed"):
        by(book, WANG).approve_report(draft.report_id)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"company": CompanySettings()}, "name, licence_number"),
        ({"recipient": "nobody"}, "no template"),
        ({"ids": []}, "No ticket is chosen"),
    ],
)
def test_reports_that_cannot_be_are_refused(book: ReportBook, change, word: str) -> None:
    ids = disposed(book, 1)
    with pytest.raises(UsageError, match=word):
        replace(book, company=change.get("company", COMPANY)).draft(
            change.get("ids", ids), recipient=change.get("recipient", "telecom")
        )


def test_undisposed_tickets_are_not_reported(book: ReportBook) -> None:
    take(book.catalogue, book.bodies, CONTENT)
    with pytest.raises(ReportError, match="not disposed of"):
        book.draft([everything(book)[0].ticket_id])


@pytest.mark.tampers
def test_a_changed_report_is_found_out(book: ReportBook) -> None:
    draft = book.draft(disposed(book, 1))
    with book.catalogue.write() as connection:
        body = book.bodies.seal(b'{"tickets": []}', f"report\x00{draft.report_id}".encode())
        connection.execute(reports.update().values(body=body))
    with pytest.raises(IntegrityError, match="was changed"):
        data_of(book, draft.report_id)


def text_of(content: bytes) -> str:
    document = docx.Document(io.BytesIO(content))
    cells = (cell.text for table in document.tables for row in table.rows for cell in row.cells)
    return "\n".join([*(p.text for p in document.paragraphs), *cells])


def test_docx_holds_the_fields_of_the_law(book: ReportBook) -> None:
    draft = book.draft(disposed(book, 2, HOSTILE), summary="说明")
    content = export(data_of(book, draft.report_id), Format.DOCX)
    text = text_of(content)
    for word in (
        "留存科技有限公司", "粤B2-20260001", "shop.example.cn", "第(七)项", "赌博 / casino", "关键词",
        "2026-11-23 11:00:00", "u1", "浏览 1200", draft.report_id, "证据摘要 SM3", "ming", "第二行😀",
        '#eval("1") $x$ <w:t>&amp;',
    ):  # fmt: skip
        assert word in text, word
    assert "\u202e" not in text
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert "word/document.xml" in names


def test_pdf_is_set_in_a_chinese_font_and_reads_text_as_text(book: ReportBook) -> None:
    draft = book.draft(disposed(book, 2, HOSTILE), summary="说明 #panic() \\ *")
    content = export(data_of(book, draft.report_id), Format.PDF)
    reader = pypdf.PdfReader(io.BytesIO(content))
    text = "".join(page.extract_text() for page in reader.pages)
    assert '#eval("1")' in text
    assert "#panic()" in text
    assert "处置情况报告" in text.replace("\n", "").replace("⾄", "至")
    fonts = {str(f["/BaseFont"]) for page in reader.pages for f in fonts_of(page)}
    assert any("CJK" in font for font in fonts), fonts


ODD = (
    "🀄️ 👨\u200d👩\u200d👧 😀👍🏽", "\u202e反向\u202c مرحبا", "h̷̢̛e̸l̶l̵o 一\u0336二", "ไทย ᠮᠣᠩ བོད་", "零\u200b宽\ufeff字",
    "㐀䶯龘 ＶＸ➕微❤️㊙️", "\x07\x1b[31m", "\U0010ffff\ue000", "x" * 3000, "𠮷" * 200,
)  # fmt: skip


def test_no_character_keeps_a_report_from_being_set(book: ReportBook) -> None:
    draft = book.draft(disposed(book, 1, " ".join(ODD)), summary="\n".join(ODD))
    data = data_of(book, draft.report_id)
    reader = pypdf.PdfReader(io.BytesIO(export(data, Format.PDF)))
    text = "".join(page.extract_text() for page in reader.pages).replace("\u200b", "")
    assert "[U+182E]" in text, "what no font shows is written as its code"
    assert "没有字形" in text.replace("\n", "")
    assert text_of(export(data, Format.DOCX))
    for font in (font for page in reader.pages for font in fonts_of(page)):
        inner = font["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
        assert any(name in inner for name in ("/FontFile2", "/FontFile3")), "every font is embedded"


def test_docx_tables_follow_the_order_of_the_standard(book: ReportBook) -> None:
    content = export(data_of(book, book.draft(disposed(book, 2)).report_id), Format.DOCX)
    order = ["tblStyle", "tblW", "jc", "tblLayout", "tblCellMar", "tblLook"]
    tables = docx.Document(io.BytesIO(content)).tables
    assert tables
    for table in tables:
        names = [child.tag.rpartition("}")[2] for child in table._tbl.tblPr]
        assert names == [name for name in order if name in names]
        widths = [cell.width.cm for cell in table.rows[0].cells]
        assert abs(sum(widths) - 16) < 0.1


def test_coverage_is_read_from_every_kind_of_font_file(tmp_path) -> None:
    found = [(font.path, font.index) for font in typst.Fonts(include_system_fonts=True).fonts() if font.path]
    assert missing(frozenset("中文A1"), found) == frozenset()
    assert missing(frozenset("\U0010ffff"), found) == {"\U0010ffff"}
    broken = tmp_path / "broken.ttf"
    for data in (b"", b"ttcf", b"\x00\x01\x00\x00\xff\xff" + b"cmap" * 40, b"OTTO" + b"\xff" * 400):
        broken.write_bytes(data)
        covered.cache_clear()
        assert len(covered(str(broken), 0)) == 0
    assert len(covered(str(tmp_path / "none.ttf"), 3)) == 0


def fonts_of(page):
    return [font.get_object() for font in page["/Resources"]["/Font"].values()]


def test_without_a_chinese_font_the_error_says_so() -> None:
    with pytest.raises(FontMissingError, match="No Chinese font"):
        choose(["DejaVu Sans", "Libertinus Serif"])


def test_csv_cannot_run_in_a_spreadsheet(book: ReportBook) -> None:
    draft = book.draft(disposed(book, 2, HOSTILE))
    content = export(data_of(book, draft.report_id), Format.CSV)
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert len(rows) == 2
    assert rows[0]["excerpt"].startswith("'=HYPERLINK")
    assert rows[0]["report_number"] == draft.report_id
    assert json.loads(export(data_of(book, draft.report_id), Format.JSON))["tickets"][1]["index"] == 2


def test_own_templates_are_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    for text, word in (
        ("format = 1\n[template.x]\ntitle='a'\nrecipient='b'\nbasis=''\nlike='y'\n", "like 'y'"),
        ("format = 2\n", "format"),
        ("format = [", "TOML"),
    ):
        path.write_text(text, encoding="utf-8")
        templates.cache_clear()
        with pytest.raises(SettingsError, match=word):
            templates(path)


def test_the_register_lists_the_newest_first(book: ReportBook) -> None:
    numbers = [book.draft(disposed(book, 1)).report_id for _ in range(3)]
    with book.catalogue.read() as connection:
        assert [report.report_id for report in list_reports(connection)] == numbers[::-1]
        detail = ticket_detail(connection, book.bodies, everything(book)[0].ticket_id)
    assert "ticket.in_report" in {event["kind"] for event in detail.timeline}
