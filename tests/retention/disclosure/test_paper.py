"""The PDF of a disclosure: whom it is for, and its rows, in part where they are too long or too many."""

from __future__ import annotations

from retention.disclosure import bundle
from retention.disclosure.paper import Records, paper
from retention.disclosure.register import Disclosure
from retention.printing.blocks import Grid, Paragraph
from retention.printing.pdf import write_pdf
from tests.retention.disclosure.exports import CASE, NOW, SCOPE, exported
from tests.retention.sealed_store import START, SealedStore

DISCLOSED = Disclosure(
    "D1", "approved", CASE, SCOPE, "user:ann", NOW.isoformat(), NOW.isoformat(), "0" * 64, "0" * 64, ("user:ben",), 1
)


def test_the_pdf_says_whom_it_is_for_and_holds_the_rows(archive: SealedStore) -> None:
    made = exported(archive)
    printed = bundle.unpack(made.data)[bundle.PAPER]
    assert printed.startswith(b"%PDF-")
    found = paper(
        made.disclosure,
        {"user_log": Records(3000, [{"event_time": START, "user_id": "u1", "log_source": "app", "log_partition": "p",
                                     "log_offset": 7, "source_ip": "10.0.0.1", "event_id": None}])},
        actor="user:ann",
        now=NOW,
        watermark="W",
    )  # fmt: skip
    assert CASE.number in found.watermark
    assert CASE.authority in found.watermark
    (grid,) = [block for block in found.blocks if isinstance(block, Grid)]
    assert grid.rows == (("1", "2026-03-01 08:00:00", "u1", "app p @ 7", "source_ip: 10.0.0.1\nevent_id: —"),)
    assert any("只印前 1 条" in block.text for block in found.blocks if isinstance(block, Paragraph))


def test_a_record_longer_than_a_page_is_printed_in_part() -> None:
    row = {"event_time": START, "user_id": "u1", "log_source": "a", "log_partition": "p", "log_offset": 1}
    found = paper(
        DISCLOSED,
        {"content": Records(1, [{**row, "text": "长" * 5000, "url": "x" * 5000}])},
        actor="user:ann",
        now=NOW,
        watermark="W",
    )
    (grid,) = [block for block in found.blocks if isinstance(block, Grid)]
    assert "全文 5,000 字见 CSV" in grid.rows[0][4]
    assert write_pdf(found, made_at=NOW).startswith(b"%PDF-")
