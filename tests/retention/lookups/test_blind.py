"""Keyed hashes: CMAC as published, also for values of many lengths at once; keys of columns and periods apart."""

from __future__ import annotations

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from retention.crypto.openssl import aes_blocks, sm4_blocks
from retention.crypto.suites import suite
from retention.keys.memory import PeriodKey
from retention.lookups.blind import BlindKey, cmac, padded

RFC_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
RFC_MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
RFC_TAGS = {
    0: "bb1d6929e95937287fa37d129b756746",
    16: "070a16b46b4d4144f79bdd9dd04a287c",
    40: "dfa66747de9ae63030ca32611497c827",
    64: "51f0bebf7e3b9d92fc49741779363cfe",
}
"""RFC 4493, section 4: CMAC under AES-128 of the message's first bytes."""


def test_the_vectors_of_rfc_4493() -> None:
    values = pa.array([RFC_MESSAGE[:length] for length in RFC_TAGS], pa.large_binary())
    found = cmac(aes_blocks(RFC_KEY), *padded(values))
    assert [f"{value:016x}" for value in found] == [tag[:16] for tag in RFC_TAGS.values()]


def test_a_changed_message_has_another_tag() -> None:
    for bit in range(0, 512, 37):
        changed = bytearray(RFC_MESSAGE)
        changed[bit // 8] ^= 1 << bit % 8
        found = cmac(aes_blocks(RFC_KEY), *padded(pa.array([bytes(changed)], pa.large_binary())))
        assert f"{int(found[0]):016x}" != RFC_TAGS[64][:16]


@given(st.lists(st.binary(max_size=64), min_size=1, max_size=20))
def test_sm4_agrees_with_another_implementation(values: list[bytes]) -> None:
    found = cmac(sm4_blocks(RFC_KEY), *padded(pa.array(values, pa.large_binary())))
    for value, number in zip(values, found, strict=True):
        other = CMAC(algorithms.SM4(RFC_KEY))
        other.update(value)
        assert int(number).to_bytes(8) == other.finalize()[:8]


@pytest.mark.parametrize("name", ["SM4-GCM-SM3", "AES-256-GCM-SHA256"])
def test_columns_and_periods_have_keys_of_their_own(name: str) -> None:
    first, second = (BlindKey(suite(name), PeriodKey(key_id, bytes([n]) * 32)) for n, key_id in enumerate("ab"))
    values = pa.array(["u1", "", "张三", "x" * 5000, "x" * 5001, "u1"])
    hashes = first.hashes("user_id", values)
    assert len(set(hashes.tolist())) == 5
    assert hashes[0] == hashes[5]
    assert not set(hashes.tolist()) & set(first.hashes("device_id", values).tolist())
    assert not set(hashes.tolist()) & set(second.hashes("user_id", values).tolist())
    assert first.hashes("user_id", values.slice(2, 1)).tolist() == hashes[2:3].tolist()
    assert first.hashes("user_id", pa.array([], pa.string())).tolist() == []
    assert "0000" not in repr(first)
