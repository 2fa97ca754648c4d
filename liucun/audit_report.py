"""Writes audits to a file: PDF, HTML, JSON, or the signed bundle of all three that an inspector is handed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from retention.audits.clauses import clauses, standing
from retention.audits.document import Context, document
from retention.audits.report import AuditReport, combined
from retention.new_file import write_out
from retention.printing.web import write_page
from retention.transparency.note import Signer


def write_report(
    path: Path,
    form: str,
    reports: Sequence[AuditReport],
    context: Context,
    *,
    fonts: Sequence[str] = (),
    signers: Sequence[Signer] = (),
) -> None:
    """Write reports to a new file as ``pdf``, ``html`` or ``json``; any other form is the signed bundle.

    Raises:
        FontMissingError: PDF, and there is no Chinese font.
        StorageError: the file cannot be written.
    """
    data = (
        rendered(form, reports, context, fonts=fonts) if form in _FORMS else _bundle(reports, context, fonts, signers)
    )
    write_out(path, data)


_FORMS: Final = ("pdf", "html", "json")


def rendered(form: str, reports: Sequence[AuditReport], context: Context, *, fonts: Sequence[str] = ()) -> bytes:
    """Reports in one of the three forms."""
    if form == "json":
        shown = (
            reports[0].as_json() if len(reports) == 1 else combined(reports) | {"clauses": _clauses(reports, context)}
        )
        return (json.dumps(shown, ensure_ascii=False, indent=2) + "\n").encode()
    if form == "html":
        return write_page(document(reports, context)).encode()
    from retention.printing.pdf import write_pdf

    return write_pdf(document(reports, context), made_at=reports[0].at, fonts=fonts)


def _clauses(reports: Sequence[AuditReport], context: Context) -> list[dict[str, str]]:
    """The clauses as the printed report has them."""
    return [
        {
            "clause": one.number,
            "answer": one.answer.value,
            "how": one.how,
            "stands": standing(one, reports, context.duties, context.facts),
        }
        for one in clauses()
    ]


def _bundle(reports: Sequence[AuditReport], context: Context, fonts: Sequence[str], signers: Sequence[Signer]) -> bytes:
    from retention.disclosure.bundle import pack
    from retention.disclosure.verify import AUDIT

    files = {f"report.{form}": rendered(form, reports, context, fonts=fonts) for form in _FORMS}
    if len(reports) > 1:
        for report in reports:
            files |= {
                f"{report.audit}/report.{form}": rendered(form, [report], context, fonts=fonts) for form in _FORMS
            }
    files["README.txt"] = _README.encode()
    files["proofs/keys.txt"] = "".join(f"{signer.verifier.encode()}\n" for signer in signers).encode()
    number = f"A{reports[0].at:%Y%m%dT%H%M%S}"
    return pack(number, files, {}, signers, kind=AUDIT)


_README: Final = """\
留存审计报告 Audit report of the archive

report.pdf   全部审计,供打印 all audits, for print
report.html  同上,供浏览 the same for a browser
report.json  全部发现与数据 every finding and figure, for programs
<审计>/      每项审计单独一份 each audit by itself

核验 how to check: liucun verify FILE
  或:对 digests.json 列出的每个文件计算 SHA-256 与 SM3 并比对;signature.txt 是对 digests.json 摘要的签名
  (C2SP signed-note),密钥见 proofs/keys.txt,应与第二保管人所存的密钥比对。
  Or: compare SHA-256 and SM3 of every file that digests.json lists; signature.txt signs the digests of digests.json
  with the keys in proofs/keys.txt: compare them with those that the second custodian holds.
"""
