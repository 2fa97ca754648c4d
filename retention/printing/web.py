"""A document as one self-contained HTML page for screen and print."""

from __future__ import annotations

from html import escape
from typing import Final

from retention.printing.blocks import Block, Document, Grid, Heading, Pairs, Paragraph, Picture, printable

_STYLE: Final = """
@page { size: A4; margin: 18mm 16mm; }
body { font: 10.5pt/1.5 "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif;
  color: #1a1a1a; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 18pt; margin: 0 0 .2rem; }
h2 { font-size: 13pt; margin: 1.8rem 0 .4rem; border-bottom: 1px solid #999; }
h3 { font-size: 11pt; margin: 1.2rem 0 .3rem; }
p { white-space: pre-line; } .quiet { color: #555; font-size: 9.5pt; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem; border: 1px solid #bbb;
  overflow-wrap: anywhere; white-space: pre-line; }
th { background: #f0f0f0; } .pairs th { width: 30%; }
td.n { text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
thead { display: table-header-group; } tr, figure { break-inside: avoid; }
figure { margin: .6rem 0; overflow-x: auto; } figure svg { max-width: 100%; height: auto; }
figcaption { color: #555; font-size: 9.5pt; }
.good, .bad { display: inline-block; padding: .15rem .7rem; border: 2px solid; font-weight: bold; }
.good { color: #0a5c2b; } .bad { color: #a00000; }
.loud { border-left: 5px solid #a00000; padding: .4rem .8rem; background: #fff4f2; }
footer { margin-top: 2rem; color: #555; font-size: 9.5pt; }
@media print { body { margin: 0; max-width: none; padding: 0; } h2.page { break-before: page; } }
"""


def write_page(document: Document) -> str:
    """The page; it loads nothing from anywhere."""
    parts = [
        "<!doctype html>",
        f"<html lang='zh-CN'><head><meta charset='utf-8'><title>{_text(document.title)}</title>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{_text(document.title)}</h1><p class='quiet'>{_text(document.subtitle)}</p>",
        *(_block(block) for block in document.blocks),
        f"<footer>{_text(document.footer)}</footer></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading():
            begins = " class='page'" if block.begins_page else ""
            return f"<h{block.level + 1}{begins}>{_text(block.text)}</h{block.level + 1}>"
        case Paragraph():
            return f"<p class='{block.tone.value}'>{_text(block.text)}</p>"
        case Pairs():
            rows = (f"<tr><th scope='row'>{_text(name)}</th><td>{_text(value)}</td></tr>" for name, value in block.rows)
            return f"<table class='pairs'>{''.join(rows)}</table>"
        case Grid():
            head = "".join(f"<th scope='col'>{_text(name)}</th>" for name in block.header)
            body = "".join(
                f"<tr>{''.join(_cell(cell, number in block.numbers) for number, cell in enumerate(row))}</tr>"
                for row in block.rows
            )
            return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        case Picture():
            return f"<figure>{block.svg}<figcaption>{_text(block.caption)}</figcaption></figure>"


def _cell(text: str, number: bool) -> str:
    return f"<td class='n'>{_text(text)}</td>" if number else f"<td>{_text(text)}</td>"


def _text(text: str) -> str:
    return escape(printable(text))
