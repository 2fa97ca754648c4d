"""A document as PDF/A-2b, set by typst in a Chinese font. The text goes in as data: nothing is ever read as markup."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import typst

from errors import StorageError
from retention.printing.blocks import (
    Block,
    Contents,
    Document,
    Grid,
    Heading,
    Pairs,
    Paragraph,
    Picture,
    Tone,
    printable,
)
from retention.printing.coverage import missing
from retention.printing.fonts import choose
from retention.printing.rows import break_grid, break_pairs

_DOCUMENT: Final = """
#let data = json(bytes(sys.inputs.document))
#set document(title: data.title, author: data.author)
#set page(
  paper: "a4", margin: (x: 2.2cm, y: 2.2cm),
  footer: context align(center, text(size: 8.5pt, data.footer
    + (if data.footer.clusters().len() > 60 { linebreak() } else { "  " })
    + "第 " + str(counter(page).get().first()) + " 页 / 共 " + str(counter(page).final().first()) + " 页")),
  background: if data.watermark != "" {
    // As large as its longest line leaves room for: a line that breaks lies across the next one.
    let longest = calc.max(1, ..data.watermark.split("\\n").map(line => line.clusters().len()))
    let size = calc.min(24pt, 480pt / longest)
    for row in range(3) {
      place(center + horizon, dy: (row - 1) * 8.5cm, rotate(-30deg, text(size: size, fill: rgb("#e6e6e6"),
        align(center, data.watermark.split("\\n").map(text).join(linebreak())))))
    }
  },
)
#set text(font: data.body, size: 10.5pt, lang: "zh", region: "cn")
#set par(leading: 0.75em, justify: false)
#show heading: set text(font: data.heading)
#show heading.where(level: 1): set block(above: 1.3em, below: 0.8em)
#show heading.where(level: 2): set block(above: 1.1em, below: 0.7em)
#set table.cell(breakable: false)
#let digest = regex("^([0-9a-f]{32}|[0-9a-f]{64})$")
#let long = regex("[^\\s\\p{Han}:_/@]{18,}")
#let joint = regex("[A-Za-z]:|[A-Za-z0-9][_/@]")
#let line(value) = if value.match(digest) != none { text(size: 8pt, value) } else {
  // Long runs may break anywhere, so that nothing leaves its cell.
  show long: run => run.text.clusters().map(text).join(sym.zws)
  // What signs join breaks after them (user:name, kind_of_thing, a/path).
  show joint: run => run.text + sym.zws
  text(value)
}
#let broken(value) = value.split("\\n").map(line).join(linebreak())
#let red = rgb("#a00000")
#let green = rgb("#0a5c2b")
#let grey = rgb("#555555")
#align(center, text(font: data.heading, size: 20pt, weight: "bold", broken(data.title)))
#align(center, text(broken(data.subtitle)))
#for block in data.blocks {
  if block.kind == "heading" {
    if block.begins_page { pagebreak(weak: true) }
    heading(level: block.level, text(block.text))
  } else if block.kind == "paragraph" {
    if block.tone == "loud" {
      std.block(width: 100%, inset: 7pt, stroke: (left: 3pt + red), fill: rgb("#fff4f2"), broken(block.text))
    } else if block.tone == "good" {
      std.block(text(font: data.heading, weight: "bold", fill: green, broken(block.text)))
    } else if block.tone == "bad" {
      std.block(text(font: data.heading, weight: "bold", fill: red, broken(block.text)))
    } else if block.tone == "quiet" { par(text(size: 9pt, fill: grey, broken(block.text))) }
    else { par(broken(block.text)) }
  } else if block.kind == "pairs" {
    table(columns: (6cm, 1fr), stroke: 0.5pt, inset: 5pt,
      ..block.rows.zip(block.breaks).map(((row, breaks)) => (
        table.cell(breakable: breaks, strong(broken(row.at(0)))), table.cell(breakable: breaks, broken(row.at(1)))
      )).flatten())
  } else if block.kind == "picture" {
    std.block(breakable: false, {
      image(bytes(block.svg), format: "svg", width: 100%, alt: block.caption)
      text(size: 9pt, fill: grey, broken(block.caption))
    })
  } else if block.kind == "contents" {
    std.block(breakable: false, {
      text(font: data.heading, weight: "bold", block.title)
      outline(title: none, depth: 1)
    })
  } else {
    table(columns: if block.widths.len() > 0 { block.widths.map(share => share * 1fr) } else {
        block.header.map(_ => auto) },
      align: (column, _) => if block.numbers.contains(column) { right } else { left },
      stroke: 0.5pt, inset: 4pt,
      table.header(..block.header.map(name => strong(text(size: 9pt, name)))),
      // One cell that may not break keeps its row from breaking.
      ..block.rows.zip(block.breaks).map(((row, breaks)) => row.map(value => table.cell(breakable: breaks,
        text(size: 9pt, broken(value))))).flatten())
  }
}
"""

_NO_TEXT: Final = frozenset({"svg", "body", "heading", "kind", "tone"})
LOST: Final = "[U+…] 为制作本文件的机器没有字形的字符的编码,原文见其他格式。Characters that no font here can show."
"""What a document says that holds such codes."""


def check_fonts(fonts: Sequence[str | Path] = ()) -> None:
    """See whether a document can be set, before anything is done for it.

    Raises:
        FontMissingError: none of the known Chinese fonts is there.
    """
    choose(_found(fonts).families())


def _found(fonts: Sequence[str | Path]) -> typst.Fonts:
    folders = [str(Path(folder)) for folder in fonts if Path(folder).is_dir()]
    return typst.Fonts(include_system_fonts=True, include_embedded_fonts=True, font_paths=folders)


def write_pdf(document: Document, *, made_at: datetime, fonts: Sequence[str | Path] = ()) -> bytes:
    """Set a document as PDF/A-2b. ``fonts``: folders searched before the system's.

    Raises:
        FontMissingError: none of the known Chinese fonts is there.
        StorageError: the program that sets it failed.
    """
    found = _found(fonts)
    body, heading = choose(found.families())
    files = [(font.path, font.index) for font in sorted(found.fonts(), key=lambda font: font.family not in body)]
    given = {
        "title": printable(document.title),
        "subtitle": printable(document.subtitle),
        "footer": printable(document.footer),
        "author": printable(document.author),
        "body": body,
        "heading": heading,
        "watermark": printable(document.watermark),
        "blocks": [_block(block) for block in document.blocks],
    }
    own = [(font.path, font.index) for font in found.fonts() if font.family == body[0] and font.path]
    used = frozenset(_texts(given))
    # A PDF/A file may hold no character without a shape. What no font has is written as its code; where a shape is
    # made of marks from several fonts, the second try keeps to the first font alone.
    for shapes, marks in ((files, True), (own[:1], False)):
        lost = missing(used, [(path, index) for path, index in shapes if path])
        lost |= frozenset() if marks else {char for char in used if unicodedata.category(char)[0] == "M"}
        text = json.dumps(_coded(given, lost), ensure_ascii=False)
        try:
            made = typst.compile(
                _DOCUMENT.encode(),
                font_paths=found,
                format="pdf",
                sys_inputs={"document": text},
                pdf_standards="a-2b",
                timestamp=made_at.replace(microsecond=0),
            )
        except typst.TypstError as error:
            if marks and "could not be displayed" in error.message:
                continue
            raise StorageError(
                f"The PDF could not be set: {error.message}.", cure="Choose another form, and report the fault."
            ) from error
        assert isinstance(made, bytes)
        return made
    raise AssertionError


def _texts(value: Any) -> str:
    """Every character of the document that is set."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "".join(_texts(item) for name, item in value.items() if name != "svg")
    return "".join(map(_texts, value)) if isinstance(value, list) else ""


def _coded(given: dict[str, Any], lost: frozenset[str]) -> dict[str, Any]:
    """The document with characters that cannot be shown written as their codes, and a word about it at its end."""
    if not lost:
        return given
    table = {ord(char): f"[U+{ord(char):04X}]" for char in lost}

    def coded(value: Any) -> Any:
        if isinstance(value, str):
            return value.translate(table)
        if isinstance(value, dict):
            return {name: item if name in _NO_TEXT else coded(item) for name, item in value.items()}
        return [coded(item) for item in value] if isinstance(value, list) else value

    made: dict[str, Any] = coded(given)
    made["blocks"].append({"kind": "paragraph", "text": LOST, "tone": Tone.QUIET.value})
    return made


def _block(block: Block) -> dict[str, Any]:
    match block:
        case Heading():
            text = printable(block.text)
            return {"kind": "heading", "text": text, "level": block.level, "begins_page": block.begins_page}
        case Paragraph():
            return {"kind": "paragraph", "text": printable(block.text), "tone": Tone(block.tone).value}
        case Pairs():
            rows = [[printable(cell) for cell in row] for row in block.rows]
            return {"kind": "pairs", "rows": rows, "breaks": break_pairs(rows, 10.5)}
        case Grid():
            rows = [[printable(cell) for cell in row] for row in block.rows]
            return {
                "kind": "grid",
                "header": [printable(name) for name in block.header],
                "rows": rows,
                "breaks": break_grid(rows, block.widths, 9.0),
                "widths": list(block.widths),
                "numbers": sorted(block.numbers),
            }
        case Contents():
            return {"kind": "contents", "title": printable(block.title)}
        case Picture():
            return {"kind": "picture", "svg": block.svg, "caption": printable(block.caption)}
