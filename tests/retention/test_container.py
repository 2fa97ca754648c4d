"""The container: random access, and everything that must be refused."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import IntegrityError, KeyAccessError
from retention import container
from retention.container import HEADER_LIMIT, PAYLOAD_OVERHEAD, Binding, Header, seal
from retention.container_reader import ContainerReader
from retention.crypto.ciphers import CHUNK_BYTES, SEALED_CHUNK_BYTES
from retention.crypto.suites import NAMES, suite
from retention.errors import (
    ChunkRefusedError,
    ContainerError,
    HeaderError,
    KeyDestroyedError,
    SegmentMismatchError,
    TruncatedError,
)
from retention.keys.memory import PeriodKey
from retention.objects.memory import MemoryObjects

KEY = PeriodKey("content-2026-10-abc", bytes(range(32)))
BINDING = Binding("segment-1", "attempt-1", "content", "2026-10", 1)
LENGTHS = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 5 * CHUNK_BYTES + 77]


def plaintext(length: int) -> bytes:
    return bytes(i * 131 % 251 for i in range(length))


def sealed(length: int, name: str = NAMES[0], binding: Binding = BINDING, key: PeriodKey = KEY) -> bytes:
    return bytes(seal(suite(name), key, binding, plaintext(length)).data)


def find(key_id: str) -> PeriodKey:
    if key_id != KEY.key_id:
        raise KeyDestroyedError(f"no key {key_id}", cure="-")
    return KEY


def reader(data: bytes, expected: Binding | None = BINDING, size: int | None = None) -> ContainerReader:
    objects = MemoryObjects()
    objects.put("object", data)
    return ContainerReader(objects, "object", find, expected=expected, size=size)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", LENGTHS)
def test_what_was_sealed_is_read(name: str, length: int) -> None:
    opened = reader(sealed(length, name))
    assert (opened.size, opened.read(), opened.read()) == (length, plaintext(length), b"")
    assert opened.seek(-1, io.SEEK_END) == length - 1 if length else True
    assert b"".join(bytes(piece) for _, piece in opened.windows()) == plaintext(length)
    assert b"".join(bytes(piece) for piece, _ in reader(sealed(length, name)).windows())


def test_either_implementation_of_sm4_reads_what_the_other_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    by_auto = sealed(CHUNK_BYTES + 5)
    monkeypatch.setenv("LIUCUN_SM4", "cryptography")
    assert suite().implementation.startswith("cryptography")
    assert reader(by_auto).read() == plaintext(CHUNK_BYTES + 5)
    by_openssl = sealed(CHUNK_BYTES + 5)
    with pytest.raises(ChunkRefusedError):
        reader(by_openssl[:-20] + bytes([by_openssl[-20] ^ 1]) + by_openssl[-19:])
    monkeypatch.undo()
    assert reader(by_openssl).read() == plaintext(CHUNK_BYTES + 5)


@given(reads=st.lists(st.tuples(st.integers(0, 90_000), st.integers(-1, 90_000)), max_size=12))
def test_random_access_is_that_of_a_plain_file(reads: list[tuple[int, int]]) -> None:
    opened, plain = reader(SAMPLE), io.BytesIO(SAMPLE_PLAIN)
    for place, length in reads:
        assert opened.seek(place) == plain.seek(place)
        assert opened.read(length) == plain.read(length)
        assert opened.tell() == plain.tell()


SAMPLE_PLAIN = plaintext(LENGTHS[-1])
SAMPLE = sealed(LENGTHS[-1])


def test_only_the_chunks_that_are_needed_are_fetched_and_opened() -> None:
    opened = reader(sealed(200 * CHUNK_BYTES))
    at_open = opened.chunks_opened
    assert at_open <= 4
    reads = opened.object_reads
    opened.seek(50 * CHUNK_BYTES + 10)
    opened.read(100)
    assert (opened.chunks_opened - at_open, opened.object_reads - reads) == (1, 1)
    opened.read(CHUNK_BYTES - 500)
    assert (opened.chunks_opened - at_open, opened.object_reads - reads) == (1, 1), "the chunk was kept"
    opened.seek(60 * CHUNK_BYTES - 1)
    opened.read(10 * CHUNK_BYTES)
    assert (opened.chunks_opened - at_open, opened.object_reads - reads) == (1 + 11, 2), "one read for neighbours"
    opened.seek(-10, io.SEEK_END)
    opened.read()
    assert (opened.chunks_opened - at_open, opened.object_reads - reads) == (1 + 11, 2), "the tail came at opening"


@pytest.mark.parametrize("name", NAMES)
def test_every_flipped_byte_is_refused(name: str) -> None:
    """Header, salt, commitment, every chunk and every tag."""
    whole = sealed(CHUNK_BYTES + 5, name)
    head = Header.parse(whole, "s").length + PAYLOAD_OVERHEAD
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1 << at % 8
        with pytest.raises((IntegrityError, KeyAccessError)) as caught:
            reader(bytes(changed)).read()
        if at >= head:
            assert isinstance(caught.value, ChunkRefusedError)
            assert caught.value.chunk == (at - head) // SEALED_CHUNK_BYTES
            assert caught.value.segment == "segment-1"
            assert f"Chunk {caught.value.chunk} of segment segment-1" in str(caught.value)


@pytest.mark.parametrize("length", [0, 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 5])
def test_every_truncation_and_extension_is_refused_at_opening(length: int) -> None:
    whole = sealed(length)
    cuts = {*range(0, min(len(whole), 700)), *range(max(0, len(whole) - 40), len(whole)), *range(0, len(whole), 331)}
    head = Header.parse(whole, "s").length + PAYLOAD_OVERHEAD
    cuts |= {head + n * SEALED_CHUNK_BYTES + d for n in range(3) for d in (-17, -16, -1, 0, 1, 15, 16, 17)}
    for cut in sorted(c for c in cuts if 0 <= c < len(whole)):
        with pytest.raises(ContainerError):
            reader(whole[:cut])
        with pytest.raises(TruncatedError):
            reader(whole[:cut], size=len(whole))
    for extra in (b"\x00", bytes(16), bytes(SEALED_CHUNK_BYTES), whole[-40:]):
        with pytest.raises((ChunkRefusedError, TruncatedError)):
            reader(whole + extra)


def test_chunks_may_not_be_reordered_repeated_or_left_out() -> None:
    whole = sealed(4 * CHUNK_BYTES + 5)
    head = Header.parse(whole, "s").length + PAYLOAD_OVERHEAD
    lead, chunks, last = whole[:head], [], whole[head + 4 * SEALED_CHUNK_BYTES :]
    chunks = [whole[head + n * SEALED_CHUNK_BYTES : head + (n + 1) * SEALED_CHUNK_BYTES] for n in range(4)]
    for order in ([1, 0, 2, 3], [0, 1, 3, 2], [0, 0, 2, 3], [0, 1, 2], [0, 1, 2, 3, 3], []):
        with pytest.raises(ChunkRefusedError):
            reader(lead + b"".join(chunks[n] for n in order) + last).read()


def test_chunks_and_heads_of_another_segment_are_refused() -> None:
    one, other = sealed(CHUNK_BYTES + 5), sealed(CHUNK_BYTES + 5)
    head = Header.parse(one, "s").length
    assert head == Header.parse(other, "s").length
    with pytest.raises(ChunkRefusedError):
        reader(one[: head + PAYLOAD_OVERHEAD] + other[head + PAYLOAD_OVERHEAD :])
    with pytest.raises(HeaderError, match="commitment"):
        reader(one[:head] + other[head:])


@pytest.mark.parametrize(
    "change",
    [
        {"segment_id": "segment-2"},
        {"attempt": "attempt-2"},
        {"record_class": "evidence"},
        {"period": "2026-11"},
        {"schema_version": 2},
    ],
)
def test_a_whole_segment_cannot_stand_for_another(change: dict[str, object]) -> None:
    other = replace(BINDING, **change)
    with pytest.raises(SegmentMismatchError, match="holds segment"):
        reader(sealed(5, binding=other))
    # With its own words written over, the data key no longer authenticates.
    mine, theirs = sealed(5), bytearray(sealed(5, binding=other))
    bound = len(Header.parse(mine, "s").bound)
    theirs[:bound] = mine[:bound]
    with pytest.raises((HeaderError, SegmentMismatchError)):
        reader(bytes(theirs))


def test_a_data_key_cannot_be_moved_under_another_period_key() -> None:
    with pytest.raises(HeaderError, match="authenticate"):
        reader(sealed(5, key=PeriodKey(KEY.key_id, bytes(32))))
    with pytest.raises(KeyDestroyedError):
        reader(sealed(5, key=PeriodKey("another", KEY.key)))


def test_two_seals_of_the_same_share_nothing() -> None:
    one, other = sealed(100), sealed(100)
    head = Header.parse(one, "s").length
    assert one[head:] != other[head:]
    assert Header.parse(one, "s").sealed_key != Header.parse(other, "s").sealed_key
    digests = {seal(suite(), KEY, BINDING, b"same").plaintext_digest for _ in range(4)}
    assert len(digests) == 4, "the digest of the plaintext is salted"


def test_words_that_cannot_stand_in_a_header_are_refused() -> None:
    for word in ("", "a/b", "x" * 97, "名", "a b", "-a"):
        with pytest.raises(ValueError, match="header"):
            seal(suite(), KEY, replace(BINDING, record_class=word), b"")


@given(noise=st.binary(max_size=1500))
def test_noise_is_no_container(noise: bytes) -> None:
    with pytest.raises(ContainerError):
        reader(noise)


@given(noise=st.binary(max_size=600), kept=st.integers(0, 200))
def test_noise_after_a_good_beginning_is_refused(noise: bytes, kept: int) -> None:
    with pytest.raises((IntegrityError, KeyAccessError)):
        reader(SAMPLE[:kept] + noise)


@given(edits=st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), min_size=1, max_size=6))
def test_headers_with_edited_bytes_are_refused_or_the_same(edits: list[tuple[int, int]]) -> None:
    changed = bytearray(SAMPLE)
    for at, value in edits:
        changed[at] = value
    if changed == SAMPLE:
        return
    with pytest.raises((IntegrityError, KeyAccessError)):
        reader(bytes(changed)).read()


def test_a_header_is_parsed_within_its_bounds_only() -> None:
    """Length fields that point far away neither read far nor take memory."""
    for lengths in (b"\xff\xff", b"\x04\x00", b"\x00\x00"):
        with pytest.raises(HeaderError):
            Header.parse(container.MAGIC + b"\x00\x01" + lengths + bytes(HEADER_LIMIT * 2), "s")
    with pytest.raises(HeaderError, match="version 2"):
        Header.parse(container.MAGIC + b"\x00\x02" + bytes(HEADER_LIMIT), "s")


def test_seeking_before_the_start_is_wrong_use() -> None:
    with pytest.raises(ValueError, match="before"):
        reader(SAMPLE).seek(-1)


def test_an_object_cut_while_it_is_read_is_found(tmp_path: Path) -> None:
    class Shrinking(MemoryObjects):
        limit = 1 << 60

        def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
            return super().read(name, start, end)[: max(0, self.limit - start)]

    objects = Shrinking()
    objects.put("object", sealed(50 * CHUNK_BYTES))
    opened = ContainerReader(objects, "object", find, expected=BINDING)
    objects.limit = 100_000
    with pytest.raises(TruncatedError) as caught:
        opened.read()
    assert caught.value.chunk == (100_000 - opened.header.length - PAYLOAD_OVERHEAD) // SEALED_CHUNK_BYTES


def test_a_failed_read_hands_out_nothing_and_keeps_nothing() -> None:
    whole = bytearray(SAMPLE)
    head = Header.parse(SAMPLE, "s").length + PAYLOAD_OVERHEAD
    whole[head + 100] ^= 1
    opened = reader(bytes(whole))
    for _ in range(2):
        opened.seek(0)
        with pytest.raises(ChunkRefusedError):
            opened.read(10)
    opened.seek(3 * CHUNK_BYTES)
    assert opened.read(10) == SAMPLE_PLAIN[3 * CHUNK_BYTES : 3 * CHUNK_BYTES + 10]
