"""Known-answer tests that an implementation must pass before it may seal anything.

Vectors: RFC 8998 appendix A.1 (SM4-GCM), GB/T 32905-2016 appendix A (SM3), and the
GCM specification's test case 16 (McGrew and Viega; AES-256).
"""

from __future__ import annotations

from retention.crypto.ciphers import CHUNK_BYTES, TAG_BYTES, CipherMaker, HasherMaker, HashMany, HashOnce, TagError
from retention.errors import CryptoUnavailableError

_SM4_GCM = (
    "0123456789abcdeffedcba9876543210",
    "00001234567800000000abcd",
    "feedfacedeadbeeffeedfacedeadbeefabaddad2",
    "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddeeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa",
    "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d",
    "83de3541e4c2b58177e065a9bf7b62ec",
)
_AES_GCM = (
    "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
    "cafebabefacedbaddecaf888",
    "feedfacedeadbeeffeedfacedeadbeefabaddad2",
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
    "76fc6ece0f4e1768cddf8853bb2d551b",
)
_SM3_ABC = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"


def sm4_gcm(maker: CipherMaker, who: str) -> None:
    """RFC 8998, sealing, opening and refusing.

    Raises:
        CryptoUnavailableError: a result is wrong.
    """
    _known_answer(maker, _SM4_GCM, f"SM4-GCM by {who}")


def aes_256_gcm(maker: CipherMaker, who: str) -> None:
    """Test case 16 of the GCM specification, likewise."""
    _known_answer(maker, _AES_GCM, f"AES-256-GCM by {who}")


def sm3(hasher: HasherMaker, once: HashOnce, many: HashMany, who: str) -> None:
    """GB/T 32905-2016, appendix A.1, in one part and in two, as one message, and among many."""
    if once(b"abc").hex() != _SM3_ABC or many([b"abc", b"", b"abc"]) != [once(b"abc"), once(b""), once(b"abc")]:
        raise _failed(f"SM3 by {who}")
    for parts in ((b"abc",), (b"a", b"bc")):
        state = hasher()
        for part in parts:
            state.update(part)
        if state.digest().hex() != _SM3_ABC:
            raise _failed(f"SM3 by {who}")


def agreement(one: CipherMaker, other: CipherMaker) -> None:
    """Each opens what the other sealed, over three chunks of which the last is short."""
    key, base = bytes(range(16)), bytes(range(100, 112))
    plaintext = bytes(range(256)) * (2 * CHUNK_BYTES // 256) + b"end"
    for sealer, opener in ((one, other), (other, one)):
        sealed = bytearray(len(plaintext) + 3 * TAG_BYTES)
        sealer(key).seal_chunks(base, 7, plaintext, memoryview(sealed))
        opened = bytearray(len(plaintext))
        try:
            opener(key).open_chunks(base, 7, sealed, memoryview(opened))
        except TagError:
            raise _failed("the agreement of two SM4-GCM implementations") from None
        if opened != plaintext:
            raise _failed("the agreement of two SM4-GCM implementations")


def _known_answer(maker: CipherMaker, vector: tuple[str, str, str, str, str, str], who: str) -> None:
    key, nonce, aad, plaintext, ciphertext, tag = (bytes.fromhex(part) for part in vector)
    cipher = maker(key)
    if cipher.seal(nonce, plaintext, aad) != ciphertext + tag:
        raise _failed(who)
    try:
        opened = cipher.open(nonce, ciphertext + tag, aad)
    except TagError:
        raise _failed(who) from None
    if opened != plaintext:
        raise _failed(who)
    try:
        cipher.open(nonce, ciphertext + tag[:-1] + bytes([tag[-1] ^ 1]), aad)
    except TagError:
        return
    raise _failed(who)


def _failed(who: str) -> CryptoUnavailableError:
    return CryptoUnavailableError(
        f"{who} fails its self-test.", cure="Do not seal anything with it; update or reinstall the library."
    )
