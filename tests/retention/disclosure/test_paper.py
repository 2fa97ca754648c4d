"""The PDF of a disclosure: whom it is for, and its rows, in part where they are too long or too many."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from pypdf import PdfReader

from console.labels_fields import FIELDS
from retention.column_names import CHINESE, column_name
from retention.disclosure import bundle
from retention.disclosure.export import export
from retention.disclosure.paper import Records, paper
from retention.disclosure.register import Disclosure
from retention.disclosure.requests import approve
from retention.policies.periods import SHANGHAI
from retention.printing.blocks import Grid, Pairs, Paragraph
from retention.printing.pdf import write_pdf
from retention.schema import RECORD_SCHEMA
from tests.retention.disclosure.exports import CASE, NOW, SCOPE, exported, log_of, requested
from tests.retention.sealed_store import START, SealedStore

DISCLOSED = Disclosure(
    "D1", "approved", CASE, SCOPE, "user:ann", NOW.isoformat(), NOW.isoformat(), "0" * 64, "0" * 64, ("user:ben",), 1,
    approved_at=(NOW.isoformat(),),
)  # fmt: skip


def test_the_pdf_says_whom_it_is_for_and_holds_the_rows(archive: SealedStore) -> None:
    made = exported(archive)
    printed = bundle.unpack(made.data)[bundle.PAPER]
    assert printed.startswith(b"%PDF-")
    found = paper(
        made.disclosure,
        {"user_log": Records(3000, [{"event_time": START, "user_id": "u1", "log_source": "app", "log_partition": "p",
                                     "log_offset": 7, "source_ip": "10.0.0.1", "event_id": None,
                                     "quantity": Decimal("4.000000")}])},
        actor="user:ann",
        now=NOW,
    )  # fmt: skip
    assert CASE.number in found.watermark
    assert CASE.authority in found.watermark
    assert found.watermark.splitlines() == [CASE.authority, CASE.number, made.disclosure.disclosure_id]
    assert "Z" not in found.footer.split()[-2], "the time is Beijing's"
    said = [value for block in found.blocks if isinstance(block, Pairs) for _, value in block.rows]
    assert "用户日志 user_log" in said
    assert any("账号 user_id" in value for value in said)
    (grid,) = [block for block in found.blocks if isinstance(block, Grid)]
    assert grid.rows == (
        ("1", "2026-03-01 08:00:00", "u1", "app p @ 7", "源 IP 地址 source_ip: 10.0.0.1\n数量 quantity: 4"),
    )
    assert any("只印前 1 条" in block.text for block in found.blocks if isinstance(block, Paragraph))


def test_the_paper_says_when_each_approver_approved(archive: SealedStore) -> None:
    number = requested(archive)
    approve(archive, number, actor="user:cid", now=NOW + timedelta(hours=1))
    approve(archive, number, actor="user:ben", now=NOW + timedelta(days=1, hours=2))
    made = export(archive, log_of(archive), number, actor="user:ann", now=NOW + timedelta(days=2))
    found = paper(made.disclosure, {}, actor="user:ann", now=NOW)
    said = {name: value for block in found.blocks if isinstance(block, Pairs) for name, value in block.rows}
    first, second = ((NOW + timedelta(hours=hours)).astimezone(SHANGHAI) for hours in (1, 26))
    assert said["批准 Approved"] == f"user:cid  {first:%Y-%m-%d %H:%M:%S}\nuser:ben  {second:%Y-%m-%d %H:%M:%S}"
    assert first.utcoffset() == timedelta(hours=8)
    shown = made.disclosure.as_json()
    assert dict(zip(shown["approvers"], shown["approved_at"], strict=True)).keys() == {"user:cid", "user:ben"}
    reader = PdfReader(io.BytesIO(bundle.unpack(made.data)[bundle.PAPER]))
    text = "".join("".join(page.extract_text().split()) for page in reader.pages).replace("\u200b", "")
    assert f"user:cid{first:%Y-%m-%d%H:%M:%S}" in text
    assert f"user:ben{second:%Y-%m-%d%H:%M:%S}" in text


def test_a_record_longer_than_a_page_is_printed_in_part() -> None:
    row = {"event_time": START, "user_id": "u1", "log_source": "a", "log_partition": "p", "log_offset": 1}
    found = paper(
        DISCLOSED,
        {"content": Records(1, [{**row, "text": "长" * 5000, "url": "x" * 5000}])},
        actor="user:ann",
        now=NOW,
    )
    (grid,) = [block for block in found.blocks if isinstance(block, Grid)]
    assert "全文 5,000 字见 CSV" in grid.rows[0][4]
    assert write_pdf(found, made_at=NOW).startswith(b"%PDF-")


def test_every_column_has_its_chinese_name_the_console_s() -> None:
    assert list(CHINESE) == RECORD_SCHEMA.names
    assert {name: str(said) for name, said in FIELDS.items()} == CHINESE
    assert column_name("made_up") == "made_up"


def test_a_long_watermark_and_an_empty_record_are_set() -> None:
    case = replace(CASE, authority="某某市公安局某某区分局" * 5, number="9" * 200)
    row = {"event_time": START, "user_id": "u1", "log_source": "a", "log_partition": "p", "log_offset": 1, "text": None}
    found = paper(replace(DISCLOSED, case=case), {"content": Records(1, [row])}, actor="user:ann", now=NOW)
    (grid,) = [block for block in found.blocks if isinstance(block, Grid)]
    assert grid.rows[0][4] == "没有值 no value"
    assert write_pdf(found, made_at=NOW).startswith(b"%PDF-")
