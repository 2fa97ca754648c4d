"""Real logs: a year of transactions, an access log, an sshd log."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path

import pyarrow.compute as pc

from tests.pipelines.decode.helpers import decode

RETAIL = {
    "order_id": "InvoiceNo",
    "item_id": "StockCode",
    "text": "Description",
    "event_time": "InvoiceDate",
    "user_id": "CustomerID",
}


def test_a_year_of_transactions(shared_data: Path) -> None:
    files = sorted((shared_data / "retail").glob("*.csv.gz"))
    records = unparsed = headers = 0
    turnover = Decimal(0)
    for file in files:
        batch = decode("csv", gzip.decompress(file.read_bytes()), mapping=RETAIL, record_class="transaction")
        records += batch.records.num_rows
        unparsed += batch.unparsed.num_rows
        headers += batch.header_rows
        product = pc.multiply(batch.records.column("quantity"), batch.records.column("unit_price"))
        turnover += pc.sum(product).as_py() or 0
        assert pc.unique(batch.records.column("flags")).to_pylist() == ["zone_assumed"]
    assert (len(files), headers) == (305, 305)
    assert (records, unparsed) == (541_909, 0)
    assert round(turnover, 2) == Decimal("9747747.93")


def test_access_log(shared_data: Path) -> None:
    batch = decode("combined", gzip.decompress((shared_data / "access" / "apache_combined.log.gz").read_bytes()))
    assert (batch.records.num_rows, batch.unparsed.num_rows) == (10_000, 0)
    for name in ("source_ip", "event_time", "http_request_method", "url_original", "http_response_status_code"):
        assert batch.records.column(name).null_count == 0


def test_sshd_log(shared_data: Path) -> None:
    batch = decode("syslog", gzip.decompress((shared_data / "access" / "openssh_2k.log.gz").read_bytes()))
    assert (batch.records.num_rows, batch.unparsed.num_rows) == (2_000, 0)
    assert pc.unique(batch.records.column("process_name")).to_pylist() == ["sshd"]
    assert batch.records.column("process_pid").null_count == 0
