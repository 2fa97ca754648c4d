"""The published vectors, by the product and by the second reader; then a whole archive by the second reader alone."""

from __future__ import annotations

import ast
import base64
import io
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from errors import IntegrityError, KeyAccessError
from retention.container import Binding, Header, payload_keys, seal
from retention.container_reader import ContainerReader
from retention.crypto import envelope
from retention.crypto.suites import NAMES, suite
from retention.keys.keyring import KeyRing
from retention.keys.memory import PeriodKey
from retention.keys.periods import PeriodKeys
from retention.objects.memory import MemoryObjects
from retention.schema import RECORD_SCHEMA
from retention.segments import Archive
from tests.independent_reader import reader as second
from tests.retention.samples import CHEAP, records, segment
from tests.vectors.make_vectors import FILE, drawn, plaintext

VECTORS = json.loads(FILE.read_text())
CONTAINERS = VECTORS["containers"]
each_container = pytest.mark.parametrize(
    "vector", CONTAINERS, ids=[f"{v['suite']}-{v['plaintext_length']}" for v in CONTAINERS]
)


def test_the_second_reader_is_independent_and_short() -> None:
    source = Path(second.__file__).read_text()
    assert len(source.splitlines()) < 200
    names = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert {name.split(".")[0] for name in names} <= {*sys.stdlib_module_names, "argon2", "cryptography"}


@each_container
def test_the_product_writes_and_reads_the_vectors(vector: dict[str, Any]) -> None:
    chosen, whole = suite(vector["suite"]), base64.b64decode(vector["object"])
    key = PeriodKey(vector["period_key_id"], bytes.fromhex(vector["period_key"]))
    binding = Binding(
        vector["segment_id"], vector["attempt"], vector["record_class"], vector["period"], vector["schema_version"]
    )
    sealed = seal(chosen, key, binding, plaintext(vector["plaintext_length"]), _random=drawn(vector["random"]))
    assert bytes(sealed.data) == whole
    assert sealed.plaintext_digest.hex() == vector["plaintext_digest"]
    assert chosen.hash(whole).hex() == vector["ciphertext_digest"]
    header = Header.parse(whole, "vector")
    assert chosen.hash(header.bound).hex() == vector["bound_digest"]
    keys = payload_keys(
        chosen, bytes.fromhex(vector["data_key"]), bytes.fromhex(vector["payload_salt"]), header.bound, binding
    )
    assert (keys.base_nonce.hex(), keys.commitment.hex()) == (vector["base_nonce"], vector["commitment"])
    assert by_product(whole, vector) == plaintext(vector["plaintext_length"])


@each_container
def test_the_second_reader_reads_the_vectors(vector: dict[str, Any]) -> None:
    opened = by_second(base64.b64decode(vector["object"]), vector)
    assert opened.plaintext == plaintext(vector["plaintext_length"])
    assert opened.plaintext_digest == vector["plaintext_digest"]
    assert opened.ciphertext_digest == vector["ciphertext_digest"]


@each_container
def test_both_refuse_what_was_changed(vector: dict[str, Any]) -> None:
    for change in vector["refused"]:
        whole = bytearray(base64.b64decode(vector["object"]))
        if "cut" in change:
            del whole[change["cut"] :]
        else:
            whole[change["at"]] ^= change["xor"]
        with pytest.raises((IntegrityError, KeyAccessError)):
            by_product(bytes(whole), vector)
        with pytest.raises(second.RefusedError):
            by_second(bytes(whole), vector)


def by_product(whole: bytes, vector: dict[str, Any]) -> bytes:
    objects = MemoryObjects()
    objects.put("object", whole)

    def find(key_id: str) -> PeriodKey:
        if key_id != vector["period_key_id"]:
            raise KeyAccessError("no such key", cure="-")
        return PeriodKey(key_id, bytes.fromhex(vector["period_key"]))

    return ContainerReader(objects, "object", find).read()


def by_second(whole: bytes, vector: dict[str, Any]) -> second.Segment:
    return second.Segment(whole, {vector["period_key_id"]: bytes.fromhex(vector["period_key"])})


@pytest.mark.parametrize("vector", VECTORS["envelopes"], ids=NAMES)
def test_envelopes(vector: dict[str, Any]) -> None:
    key, context, sealed = (bytes.fromhex(vector[name]) for name in ("key", "context", "envelope"))
    chosen, purpose = suite(vector["suite"]), vector["purpose"]
    drawn_again = drawn(f"{vector['suite']}/salt")
    value = bytes.fromhex(vector["plaintext"])
    assert envelope.seal(chosen, key, value, purpose=purpose, context=context, _random=drawn_again) == sealed
    assert envelope.open_(chosen, key, sealed, purpose=purpose, context=context) == value
    assert second.Suite(vector["suite"]).envelope(key, sealed, purpose.encode(), context) == value
    for at in range(len(sealed)):
        with pytest.raises(second.RefusedError):
            changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
            second.Suite(vector["suite"]).envelope(key, changed, purpose.encode(), context)


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_archive_is_read_from_its_files_and_the_passphrase(tmp_path: Path, name: str) -> None:
    ring = KeyRing.create(tmp_path / "ring.json", "通行 passphrase", suite_name=name, cost=CHEAP)
    keys = PeriodKeys.open(f"sqlite:///{tmp_path / 'periods.db'}", ring, create=True)
    archive = Archive(MemoryObjects(), keys, suite(name))
    manifests = [segment(archive, 200, first=n * 200) for n in range(3)]
    ring.rotate()
    keys.rewrap(ring)
    keys.close()

    provider_suite, provider_keys = second.open_key_ring((tmp_path / "ring.json").read_bytes(), "通行 passphrase")
    found = second.period_keys(tmp_path / "periods.db", provider_suite, provider_keys)
    for number, manifest in enumerate(manifests):
        opened = second.Segment(archive.objects.read(manifest.object_name), found)
        body = opened.check(manifest.to_bytes())
        table = pq.read_table(io.BytesIO(opened.plaintext))
        assert table.num_rows == body["rows"] == 200
        assert table.equals(pa.Table.from_batches([records(200, first=number * 200)]))
        assert table.schema.equals(RECORD_SCHEMA)
    with pytest.raises(second.RefusedError):
        second.open_key_ring((tmp_path / "ring.json").read_bytes(), "wrong")
    with pytest.raises(second.RefusedError):
        opened.check(manifests[0].to_bytes())
