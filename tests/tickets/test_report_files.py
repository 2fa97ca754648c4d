"""The files of a report that people open: DOCX, PDF, CSV and JSON, in Chinese fonts, of whatever text there is."""

from __future__ import annotations

import csv
import io
import json
import zipfile

import docx
import pypdf
import pytest
import typst

from retention.errors import FontMissingError
from retention.printing.coverage import covered, missing
from retention.printing.fonts import choose
from tests.tickets.reporting import data_of, disposed, text_of
from tickets.reports.export import Format, export
from tickets.reports.filing import ReportBook

HOSTILE = '=HYPERLINK("x") \x00\x1b[31m #eval("1") $x$ <w:t>&amp; \u202e赌场 *粗* 换行\n第二行😀'


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
