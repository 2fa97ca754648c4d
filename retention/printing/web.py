"""A document as one self-contained HTML page for screen and print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from retention.printing.blocks import Block, Contents, Document, Grid, Heading, Pairs, Paragraph, Picture, printable

_STYLE: Final = """
@page { size: A4; margin: 18mm 16mm; }
body { font: 10.5pt/1.5 "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif;
  color: #1a1a1a; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 18pt; margin: 0 0 .2rem; }
h2 { font-size: 13pt; margin: 1.8rem 0 .4rem; border-bottom: 1px solid #999; }
h3 { font-size: 11pt; margin: 1.2rem 0 .3rem; }
p { white-space: pre-line; } .quiet { color: #555; font-size: 9.5pt; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; table-layout: fixed; }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem; border: 1px solid #bbb;
  overflow-wrap: break-word; white-space: pre-line; }
th { background: #f0f0f0; } .pairs th { width: 38%; }
.n { text-align: right; font-variant-numeric: tabular-nums; }
thead { display: table-header-group; } tr, figure { break-inside: avoid; } h2, h3 { break-after: avoid; }
figure { margin: .6rem 0; overflow-x: auto; } figure svg { max-width: 100%; height: auto; }
figcaption { color: #555; font-size: 9.5pt; white-space: pre-line; }
nav ol { columns: 2; } nav a { color: inherit; }
.good, .bad { display: inline-block; padding: .15rem .7rem; border: 2px solid; font-weight: bold; }
.good { color: #0a5c2b; } .bad { color: #a00000; }
.loud { border-left: 5px solid #a00000; padding: .4rem .8rem; background: #fff4f2; }
footer { margin-top: 2rem; color: #555; font-size: 9.5pt; }
@media print { body { margin: 0; max-width: none; padding: 0; } h2.page { break-before: page; } }
@media screen and (max-width: 640px) {
  body { margin: 1rem auto; } nav ol { columns: 1; }
  figure svg { max-width: none; }
  table.grid, .grid tbody, .grid tr, .grid td { display: block; } .grid thead { display: none; }
  .grid tr { border: 1px solid #bbb; margin: .5rem 0; } .grid td, .grid td.n { border: 0; text-align: left; }
  .grid td, .grid td.n { display: grid; grid-template-columns: 6.5rem minmax(0, 1fr); gap: .5rem; }
  .grid td::before { content: attr(data-name); color: #555; font-size: 9pt; }
}
"""
_HEADS: Final = {1: "h2", 2: "h3"}


def write_page(document: Document) -> str:
    """The page; it loads nothing from anywhere."""
    parts = [
        "<!doctype html>",
        f"<html lang='zh-CN'><head><meta charset='utf-8'><title>{_text(document.title)}</title>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{_text(document.title)}</h1><p class='quiet'>{_text(document.subtitle)}</p>",
        *_blocks(document.blocks),
        f"<footer>{_text(document.footer)}</footer></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _blocks(blocks: Sequence[Block]) -> Iterator[str]:
    chapters = [block for block in blocks if isinstance(block, Heading) and block.level == 1]
    number = 0
    for block in blocks:
        if isinstance(block, Contents):
            items = (f"<li><a href='#c{n}'>{_text(one.text)}</a></li>" for n, one in enumerate(chapters, 1))
            yield f"<nav><h3>{_text(block.title)}</h3><ol>{''.join(items)}</ol></nav>"
        elif isinstance(block, Heading):
            number += block.level == 1
            begins = " class='page'" if block.begins_page else ""
            place = f" id='c{number}'" if block.level == 1 else ""
            head = _HEADS[block.level]
            yield f"<{head}{place}{begins}>{_text(block.text)}</{head}>"
        else:
            yield _block(block)


def _block(block: Paragraph | Pairs | Grid | Picture) -> str:
    match block:
        case Paragraph():
            return f"<p class='{block.tone.value}'>{_text(block.text)}</p>"
        case Pairs():
            rows = (f"<tr><th scope='row'>{_text(name)}</th><td>{_text(value)}</td></tr>" for name, value in block.rows)
            return f"<table class='pairs'>{''.join(rows)}</table>"
        case Grid():
            head = "".join(
                f"<th scope='col'{_number(block, n)}>{_text(name)}</th>" for n, name in enumerate(block.header)
            )
            body = "".join(f"<tr>{''.join(_cells(block, row))}</tr>" for row in block.rows)
            whole = sum(block.widths)
            columns = "".join(f"<col style='width:{100 * share / whole:.1f}%'>" for share in block.widths)
            return f"<table class='grid'>{columns}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        case Picture():
            return f"<figure>{block.svg}<figcaption>{_text(block.caption)}</figcaption></figure>"


def _cells(block: Grid, row: Sequence[str]) -> Iterator[str]:
    """A row's cells; each names its column, for screens too narrow for a table."""
    for n, (name, text) in enumerate(zip(block.header, row, strict=True)):
        yield f"<td{_number(block, n)} data-name='{_text(name)}'>{_text(text)}</td>"


def _number(block: Grid, column: int) -> str:
    return " class='n'" if column in block.numbers else ""


def _text(text: str) -> str:
    return escape(printable(text))
