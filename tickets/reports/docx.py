"""A report as DOCX (Office Open XML), for Word, WPS and LibreOffice."""

from __future__ import annotations

import io
import re
from datetime import datetime
from typing import Any, Final
from unicodedata import east_asian_width

from docx import Document
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Pt

from retention.printing.blocks import Grid, Heading, Pairs, Paragraph
from tickets.reports.layout import Laid

FONT: Final = "Times New Roman"
CHINESE: Final = "SimSun"
CHINESE_HEADING: Final = "SimHei"
_NAME_WIDTH: Final = Cm(4.2)
_PAGE: Final = Cm(16)
_LEAST: Final = 4
_MOST: Final = 40
_SIDES: Final = 3
"""A column's share of the page in half-width characters: at least, at most, and what its sides take."""

_DIGEST: Final = re.compile("[0-9a-f]{64}")
"""Set smaller, so that it stands on one line."""


def write_docx(laid: Laid, *, made_at: datetime) -> bytes:
    """Set a report as DOCX; ``made_at`` goes into the file's properties."""
    document = Document()
    _page(document, laid)
    _styles(document)
    _properties(document, laid, made_at)
    title = document.add_paragraph(style="Title")
    title.add_run(laid.title)
    head = document.add_paragraph()
    head.alignment = WD_ALIGN_PARAGRAPH.CENTER
    head.add_run(f"报送: {laid.recipient}    编号: {laid.number}")
    for block in laid.blocks:
        match block:
            case Heading():
                document.add_heading(block.text, block.level)
            case Paragraph():
                for line in block.text.split("\n"):
                    document.add_paragraph(line)
            case Pairs():
                _pairs(document, block)
            case Grid():
                _grid(document, block)
    document.add_paragraph(f"依据: {laid.basis}")
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def _page(document: Any, laid: Laid) -> None:
    section = document.sections[0]
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    section.left_margin = section.right_margin = Cm(2.5)
    section.top_margin = section.bottom_margin = Cm(2.3)
    foot = section.footer.paragraphs[0]
    foot.alignment = WD_ALIGN_PARAGRAPH.CENTER
    foot.add_run(f"{laid.company}  {laid.number}  第 ")
    _field(foot, "PAGE")
    foot.add_run(" 页 / 共 ")
    _field(foot, "NUMPAGES")
    foot.add_run(" 页")


def _styles(document: Any) -> None:
    for name, size, chinese, bold in (
        ("Normal", 10.5, CHINESE, False),
        ("Title", 20, CHINESE_HEADING, True),
        ("Heading 1", 14, CHINESE_HEADING, True),
        ("Heading 2", 12, CHINESE_HEADING, True),
    ):
        style = document.styles[name]
        style.font.name = FONT
        style.font.size = Pt(size)
        style.font.bold = bold
        fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
        # Theme fonts would win over the names that stand beside them.
        for theme in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
            fonts.attrib.pop(qn(f"w:{theme}"), None)
        fonts.set(qn("w:eastAsia"), chinese)
        for colour in style.element.rPr.findall(qn("w:color")):
            style.element.rPr.remove(colour)
    language = OxmlElement("w:lang")
    # Without it a program may take Japanese or traditional shapes of the same characters.
    for script, code in (("val", "zh-CN"), ("eastAsia", "zh-CN")):
        language.set(qn(f"w:{script}"), code)
    normal = document.styles["Normal"].element.get_or_add_rPr()
    for defaults in document.styles.element.iter(qn("w:lang")):
        defaults.set(qn("w:eastAsia"), "zh-CN")
    normal.append(language)
    document.styles["Normal"].paragraph_format.space_after = Pt(3)
    document.styles["Title"].paragraph_format.alignment = WD_ALIGN_PARAGRAPH.CENTER
    border = document.styles["Title"].element.pPr.find(qn("w:pBdr"))
    if border is not None:
        document.styles["Title"].element.pPr.remove(border)


def _properties(document: Any, laid: Laid, made_at: datetime) -> None:
    properties = document.core_properties
    properties.title, properties.author, properties.comments = f"{laid.title} {laid.number}", laid.company, ""
    properties.created = properties.modified = made_at
    properties.language = "zh-CN"


def _pairs(document: Any, block: Pairs) -> None:
    table = document.add_table(rows=0, cols=2, style="Table Grid")
    table.alignment = WD_TABLE_ALIGNMENT.CENTER
    table.autofit = False
    _padded(table)
    table.columns[0].width, table.columns[1].width = _NAME_WIDTH, _PAGE - _NAME_WIDTH
    for name, value in block.rows:
        cells = table.add_row().cells
        cells[0].width, cells[1].width = _NAME_WIDTH, _PAGE - _NAME_WIDTH
        _fill(cells[0], name, bold=True)
        _fill(cells[1], value, size=9 if _DIGEST.fullmatch(value) else None)
    document.add_paragraph()


def _grid(document: Any, block: Grid) -> None:
    table = document.add_table(rows=1, cols=len(block.header), style="Table Grid")
    table.alignment = WD_TABLE_ALIGNMENT.CENTER
    table.autofit = False
    _padded(table)
    widths = _widths(block)
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width
    for cell, name in zip(table.rows[0].cells, block.header, strict=True):
        _fill(cell, name, size=9, bold=True)
    repeat = OxmlElement("w:tblHeader")
    repeat.set(qn("w:val"), "true")
    table.rows[0]._tr.get_or_add_trPr().append(repeat)
    for row in block.rows:
        for cell, value in zip(table.add_row().cells, row, strict=True):
            _fill(cell, value, size=9)
    for row in table.rows:
        for cell, width in zip(row.cells, widths, strict=True):
            cell.width = width
    document.add_paragraph()


def _widths(block: Grid) -> list[Cm]:
    """The page's width shared among columns by their longest cell, so that times and numbers stand on one line."""
    longest = [
        max(sum(map(_wide, cell)) for cell in (name, *cells))
        for name, *cells in zip(block.header, *block.rows, strict=True)
    ]
    shares = [min(max(one, _LEAST), _MOST) + _SIDES for one in longest]
    return [Cm(_PAGE.cm * share / sum(shares)) for share in shares]


def _wide(char: str) -> float:
    return 2 if east_asian_width(char) in "WF" else 1.35 if char.isupper() else 1


def _padded(table: Any) -> None:
    """Room above and below the text of every cell."""
    margins = OxmlElement("w:tblCellMar")
    for side, twips in (("top", 40), ("left", 80), ("bottom", 40), ("right", 80)):
        edge = OxmlElement(f"w:{side}")
        edge.set(qn("w:w"), str(twips))
        edge.set(qn("w:type"), "dxa")
        margins.append(edge)
    look = table._tbl.tblPr.find(qn("w:tblLook"))
    # The order of the elements is fixed (ECMA-376, CT_TblPr): Word refuses another.
    if look is None:
        table._tbl.tblPr.append(margins)
    else:
        look.addprevious(margins)


def _fill(cell: Any, value: str, size: float | None = None, *, bold: bool = False) -> None:
    lines = value.split("\n")
    for number, line in enumerate(lines):
        paragraph = cell.paragraphs[0] if number == 0 else cell.add_paragraph()
        paragraph.paragraph_format.space_after = Pt(0)
        run = paragraph.add_run(line)
        run.bold = bold or None
        if size is not None:
            run.font.size = Pt(size)


def _field(paragraph: Any, code: str) -> None:
    """A field that the reader's program fills in (page numbers)."""
    for kind, text in (("begin", None), (None, code), ("end", None)):
        run = paragraph.add_run()
        element = OxmlElement("w:fldChar" if kind else "w:instrText")
        if kind:
            element.set(qn("w:fldCharType"), kind)
        else:
            element.text = text
        run._r.append(element)
