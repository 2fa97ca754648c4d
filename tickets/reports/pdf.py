"""A report as PDF/A, set by typst in a Chinese font. The text goes in as data: nothing in it is ever read as markup."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import typst

from errors import StorageError
from tickets.errors import FontMissingError
from tickets.reports.layout import Grid, Heading, Laid, Pairs, Paragraph

SERIF: Final = (
    "Noto Serif CJK SC",
    "Source Han Serif SC",
    "Noto Serif SC",
    "FangSong",
    "STFangsong",
    "SimSun",
    "STSong",
)
SANS: Final = (
    "Noto Sans CJK SC", "Source Han Sans SC", "Noto Sans SC", "SimHei", "Microsoft YaHei", "PingFang SC",
    "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback",
)  # fmt: skip

_DOCUMENT: Final = """
#let data = json(bytes(sys.inputs.report))
#set document(title: data.title + " " + data.number, author: data.company)
#set page(
  paper: "a4", margin: (x: 2.4cm, y: 2.3cm),
  footer: context align(center, text(size: 8.5pt, data.company + "  " + data.number + "  第 "
    + str(counter(page).get().first()) + " 页 / 共 " + str(counter(page).final().first()) + " 页")),
)
#set text(font: data.body, size: 10.5pt, lang: "zh", region: "cn")
#set par(leading: 0.75em, justify: false)
#show heading: set text(font: data.heading)
#show heading.where(level: 1): set block(above: 1.3em, below: 0.8em)
#show heading.where(level: 2): set block(above: 1.1em, below: 0.7em)
#let digest = regex("^[0-9a-f]{64}$")
#let long = regex("[^\\s\\p{Han}]{24,}")
#let line(value) = if value.match(digest) != none { text(size: 8pt, value) } else {
  // Long runs (addresses, ids) may break anywhere, so that nothing leaves its cell.
  show long: run => run.text.clusters().map(text).join(sym.zws)
  text(value)
}
#let broken(value) = value.split("\\n").map(line).join(linebreak())
#align(center, text(font: data.heading, size: 20pt, weight: "bold", data.title))
#align(center, text("报送: " + data.recipient + "    编号: " + data.number))
#for block in data.blocks {
  if block.kind == "heading" { heading(level: block.level, text(block.text)) }
  else if block.kind == "paragraph" { par(broken(block.text)) }
  else if block.kind == "pairs" {
    table(columns: (4.2cm, 1fr), stroke: 0.5pt, inset: 5pt,
      ..block.rows.map(row => (strong(text(row.at(0))), broken(row.at(1)))).flatten())
  }
  else { table(columns: block.header.map(_ => auto), stroke: 0.5pt, inset: 4pt,
      table.header(..block.header.map(name => strong(text(size: 9pt, name)))),
      ..block.rows.flatten().map(value => text(size: 9pt, broken(value)))) }
}
#v(1em)
#text(size: 9pt, "依据: " + data.basis)
"""


def write_pdf(laid: Laid, *, made_at: datetime, fonts: Sequence[str | Path] = ()) -> bytes:
    """Set a report as PDF/A-2b. ``fonts``: folders searched before the system's.

    Raises:
        FontMissingError: none of the known Chinese fonts is there.
        StorageError: the program that sets it failed.
    """
    folders = [str(Path(folder)) for folder in fonts if Path(folder).is_dir()]
    found = typst.Fonts(include_system_fonts=True, include_embedded_fonts=True, font_paths=folders)
    body, heading = choose(found.families())
    report = {
        "title": laid.title,
        "number": laid.number,
        "company": laid.company,
        "recipient": laid.recipient,
        "basis": laid.basis,
        "body": body,
        "heading": heading,
        "blocks": [_block(block) for block in laid.blocks],
    }
    try:
        made = typst.compile(
            _DOCUMENT.encode(),
            font_paths=found,
            format="pdf",
            sys_inputs={"report": json.dumps(report, ensure_ascii=False)},
            pdf_standards="a-2b",
            timestamp=made_at.replace(microsecond=0),
        )
    except typst.TypstError as error:
        raise StorageError(
            f"The PDF could not be set: {error.message}.", cure="Export DOCX, and report the fault."
        ) from error
    assert isinstance(made, bytes)
    return made


def choose(families: Sequence[str]) -> tuple[list[str], list[str]]:
    """Fonts for text and headings out of those that are there.

    Raises:
        FontMissingError: no Chinese one is there.
    """
    there = {family.casefold(): family for family in families}
    serif = [there[name.casefold()] for name in SERIF if name.casefold() in there]
    sans = [there[name.casefold()] for name in SANS if name.casefold() in there]
    if not serif and not sans:
        raise FontMissingError(
            "No Chinese font was found to set the PDF with.",
            cure="Install one (Debian: fonts-noto-cjk), or name its folder in [company] fonts.",
        )
    return [*serif, *sans], [*sans, *serif]


def _block(block: Any) -> dict[str, Any]:
    match block:
        case Heading():
            return {"kind": "heading", "text": block.text, "level": block.level}
        case Paragraph():
            return {"kind": "paragraph", "text": block.text}
        case Pairs():
            return {"kind": "pairs", "rows": [list(row) for row in block.rows]}
        case Grid():
            return {"kind": "grid", "header": list(block.header), "rows": [list(row) for row in block.rows]}
        case _:
            raise AssertionError(block)
