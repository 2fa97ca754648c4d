"""The bundle's PDF: case, scope, and the records, with a watermark on every page that names whom it was made for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from retention.audits.figures import class_name
from retention.column_names import column_name
from retention.disclosure.register import Disclosure
from retention.disclosure.scope import ALWAYS
from retention.printing.blocks import Block, Document, Grid, Heading, Pairs, Paragraph, Tone

MOST: Final = 500
"""Records of a class that are printed; the CSV file holds all."""
LONGEST: Final = 1000
"""Characters of a value that are printed."""
_ZONE: Final = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a class: how many there are, and the first ``MOST`` of them."""

    total: int
    first: Sequence[Mapping[str, Any]]


def paper(found: Disclosure, records: Mapping[str, Records], *, actor: str, now: datetime) -> Document:
    """The document of an export. Every page names whom it was made for, in its footer and behind its text."""
    return Document(
        title="向主管部门提供数据",
        subtitle=f"Disclosure to an authority\n{found.disclosure_id}",
        footer=f"{found.disclosure_id}  {found.case.authority} {found.case.number}  导出 {_local(now)} 北京时间",
        author="",
        blocks=tuple(_blocks(found, records, actor, now)),
        watermark=f"{found.case.authority}\n{found.case.number}\n{found.disclosure_id}",
    )


def _blocks(found: Disclosure, records: Mapping[str, Records], actor: str, now: datetime) -> Sequence[Block]:
    scope = found.scope
    total = sum(one.total for one in records.values())
    blocks: list[Block] = [
        Paragraph("仅供下列机关办理下列案件使用,不得另作他用。For this authority and this case only.", Tone.LOUD),
        Pairs(
            (
                ("机关 Authority", found.case.authority),
                ("案号 Case", found.case.number),
                ("依据 Legal basis", found.case.basis),
                ("理由 Reason", found.case.reason),
                ("申请 Requested", f"{found.requested_by}  {_local(found.requested_at)}"),
                ("批准 Approved", _approvals(found)),
                ("导出 Exported", f"{actor}  {_local(now)}"),
                ("有效期 Approval ends", _local(found.expires_at)),
                ("案件文书 Case document", f"SHA-256\n{found.document_sha256}\nSM3\n{found.document_sm3}"),
            )
        ),
        Heading("范围 Scope", 1),
        Pairs(
            (
                ("记录类别 Classes", ", ".join(f"{class_name(name)} {name}" for name in scope.classes)),
                ("账号 Accounts", ", ".join(scope.accounts)),
                ("字段 Fields", "、".join(map(column_name, scope.fields))),
                (
                    "时间 Time",
                    f"{_local(scope.since)} 起,{_local(scope.until)} 前\nfrom the first on, before the second",
                ),
                ("记录 Records", f"{total:,}"),
            )
        ),
        Paragraph(
            "本文件供阅读;数据以同包的 CSV 文件为准,digests.json 列出各文件的 SHA-256 与 SM3,signature.txt 为签名。\n"
            "This file is for reading; the CSV files are the data; digests.json and signature.txt prove both.\n"
            "范围内的字段若未列出,即该记录没有此值。A field of the scope that a record does not list is empty in it.\n"
            "时间均为北京时间(UTC+8)。Times are Beijing's.",
            Tone.QUIET,
        ),
    ]
    for record_class, one in records.items():
        blocks.append(Heading(f"{class_name(record_class)} {record_class}: {one.total:,} 条 records", 1))
        if one.total > len(one.first):
            blocks.append(
                Paragraph(
                    f"只印前 {len(one.first):,} 条,其余见 data/{record_class}.csv。"
                    f"The first {len(one.first):,} are printed; data/{record_class}.csv holds all.",
                    Tone.LOUD,
                )
            )
        if one.first:
            blocks.append(_grid(one.first))
        else:
            blocks.append(Paragraph("没有符合范围的记录。No record lies within the scope."))
    return blocks


def _approvals(found: Disclosure) -> str:
    """Both approvers, each with the time."""
    both = zip(found.approvers, found.approved_at, strict=True)
    return "\n".join(f"{name}  {_local(at)}" for name, at in both) or "—"


def _grid(rows: Sequence[Mapping[str, Any]]) -> Grid:
    return Grid(
        header=("序 No.", "时间 Time", "账号 Account", "归档位置 Place", "字段 Fields"),
        rows=tuple(
            (
                str(number),
                _local(row["event_time"]),
                str(row["user_id"] or ""),
                f"{row['log_source']} {row['log_partition']} @ {row['log_offset']}",
                "\n".join(
                    f"{column_name(name)}: {_shown(value)}"
                    for name, value in row.items()
                    if name not in ALWAYS and value is not None
                )
                or "没有值 no value",
            )
            for number, row in enumerate(rows, 1)
        ),
        widths=(0.7, 1.9, 1.7, 2.3, 4.4),
        numbers=frozenset({0}),
    )


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return _local(value)
    if isinstance(value, Decimal):
        return f"{value:f}".rstrip("0").rstrip(".") if "." in f"{value:f}" else f"{value:f}"
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… (全文 {len(text):,} 字见 CSV, all in the CSV file)"


def _local(moment: datetime | str | None) -> str:
    if moment is None:
        return "—"
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return found.astimezone(_ZONE).strftime("%Y-%m-%d %H:%M:%S")
