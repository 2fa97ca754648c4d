"""Files and blobs of anybody's choosing: refused by a typed error, quickly, whatever they hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errors import KeyAccessError, LiucunError
from retention.crypto import sm2_encoding
from retention.errors import KeyRefusedError, KeyRingDamagedError
from retention.keys import escrow
from retention.keys.index import IndexKeys
from retention.keys.passphrase import checksum, open_file, seal_file
from retention.keys.settings import Sm2Settings
from retention.keys.sm2_envelope import FORMAT, Sm2Envelope, pairs_from_bytes
from retention.keys.wrapped import Wrapped, kind_of
from tests.retention.samples import CHEAP

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
QUICK = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
WHOLE: dict[str, Any] = json.loads(seal_file(FORMAT, {"public": []}, b"[]", "p", cost=CHEAP))


@given(st.binary(max_size=200))
def test_wrapped_keys(data: bytes) -> None:
    for kind in ("keyring", "sm2"):
        try:
            found = Wrapped.from_bytes(data, kind=kind)
        except KeyRefusedError:
            continue
        assert found.to_bytes() == data
        assert kind_of(data) == kind


@QUICK
@given(data=st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_files(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(KeyRingDamagedError):
        open_file(FORMAT, data, "p", where="file")
    with pytest.raises(KeyRingDamagedError):
        escrow.describe(path)
    with pytest.raises(KeyRingDamagedError):
        IndexKeys.read(path)


@QUICK
@given(st.sampled_from(["format", "version", "suite", "kdf", "clear", "sealed"]), JSON)
def test_files_whose_checksum_fits(field: str, value: Any) -> None:
    """Whoever writes the file can make its checksum fit."""
    body = {name: item for name, item in WHOLE.items() if name != "checksum"} | {field: value}
    if body == {name: item for name, item in WHOLE.items() if name != "checksum"}:
        return
    with pytest.raises(KeyAccessError):
        open_file(FORMAT, json.dumps(body | {"checksum": checksum(body)}).encode(), "p", where="file")


@pytest.mark.parametrize(
    "cost",
    [
        {"memory_kib": 1 << 30, "iterations": 1, "lanes": 1},
        {"memory_kib": 64, "iterations": 1 << 30, "lanes": 1},
        {"memory_kib": 64, "iterations": 1, "lanes": 1 << 20},
        {"memory_kib": 8, "iterations": 1, "lanes": 8},
        {"memory_kib": True, "iterations": 1, "lanes": 1},
        {"memory_kib": 64.0, "iterations": 1, "lanes": 1},
        {"memory_kib": "64", "iterations": 1, "lanes": 1},
    ],
)
def test_no_file_can_ask_for_absurd_resources(cost: dict[str, Any]) -> None:
    body = {name: item for name, item in WHOLE.items() if name != "checksum"}
    body["kdf"] = {**WHOLE["kdf"], **cost}
    with pytest.raises(KeyRingDamagedError):
        open_file(FORMAT, json.dumps(body | {"checksum": checksum(body)}).encode(), "p", where="file")


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_secrets_that_are_no_keys(data: bytes) -> None:
    with pytest.raises(LiucunError):
        pairs_from_bytes(data, where="file")


@given(st.binary(max_size=400))
def test_der(data: bytes) -> None:
    for read in (sm2_encoding.signature_from_der, sm2_encoding.ciphertext_from_der):
        try:
            found = read(data)
        except (ValueError, OverflowError):
            continue
        again = (
            sm2_encoding.signature_to_der(found) if isinstance(found, bytes) else sm2_encoding.ciphertext_to_der(*found)
        )
        assert again == data


@given(st.text(max_size=300) | st.binary(max_size=100).map(bytes.hex))
def test_public_keys(text: str) -> None:
    try:
        assert sm2_encoding.is_point(sm2_encoding.public_from_text(text))
    except ValueError:
        return


def test_a_file_over_its_limit_is_not_read(tmp_path: Path) -> None:
    Sm2Envelope.create(tmp_path, Sm2Settings(), "p", cost=CHEAP)
    for name in (Sm2Settings().public_key, Sm2Settings().private_key):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole + b" " * (1 << 20))
        with pytest.raises(KeyRingDamagedError, match="over 1048576 bytes"):
            Sm2Envelope.open(tmp_path, Sm2Settings(), lambda: "p")
        (tmp_path / name).write_bytes(whole)
