"""A zip file under a password that common programs open (7-Zip, WinZip, WinRAR, Bandizip): WinZip's AE-2 with AES-256.

The format is "AES Encryption Information: Encryption Specification AE-1 and AE-2" (WinZip, version 1.04): PBKDF2 with
HMAC-SHA1 and 1,000 rounds, AES in counter mode with a counter of little-endian order from 1, HMAC-SHA1 cut to 80 bits.
Its derivation of keys is weak by today's measure and cannot be made stronger, so the password must be.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import secrets
import struct
import zipfile
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from errors import KeyAccessError, UsageError
from retention.disclosure.errors import BundleRefusedError

METHOD: Final = 99
"""Zip's method number for AE-x; what was done before stands in the extra field 0x9901."""
LEAST: Final = 16
"""Characters of a password."""
DISTINCT: Final = 8
_EXTRA: Final = struct.pack("<HHHBBBH", 0x9901, 7, 2, ord("A"), ord("E"), 3, 0)
"""AE-2, AES-256, stored."""
_ROUNDS: Final = 1000
_SALT, _CHECK, _CODE = 16, 2, 10
_FLAGS: Final = 0x0001
_VERSION: Final = 51
_MOMENT: Final = (0, 0x21)
"""1 January 1980: the archive tells nothing about when it was made."""
_CHUNK: Final = 1 << 22


def check_password(password: str) -> None:
    """Refuse a password that the format's derivation of keys cannot protect.

    Raises:
        UsageError: it is short, monotonous, or not ASCII (programs disagree on how other letters are encoded).
    """
    if not password.isascii() or not password.isprintable():
        raise UsageError(
            "The password holds letters that programs encode differently.", cure="Use ASCII letters, digits and signs."
        )
    if len(password) < LEAST or len(set(password)) < DISTINCT:
        raise UsageError(
            f"The password is weaker than a zip file needs: at least {LEAST} characters, {DISTINCT} of them different.",
            cure="Make one at random, for example with `openssl rand -base64 18`, and hand it over by another way.",
        )


def is_aes_zip(data: bytes) -> bool:
    """Whether this is such a file: a zip whose first entry is encrypted by AE-x."""
    return data[:4] == b"PK\x03\x04" and len(data) > 30 and struct.unpack_from("<H", data, 8)[0] == METHOD


def seal_zip(name: str, body: bytes, password: str) -> bytes:
    """A zip file that holds one file, ``name``, under a password.

    Raises:
        UsageError: the password is too weak.
    """
    check_password(password)
    salt = secrets.token_bytes(_SALT)
    cipher_key, code_key, check = _keys(password, salt)
    sealed = _counter_mode(cipher_key, body)
    code = hmac.digest(code_key, sealed, "sha1")[:_CODE]
    return _frame(name, salt + check + sealed + code, len(body))


def open_zip(data: bytes, password: str, *, most: int) -> bytes:
    """The one file inside.

    Args:
        most: bytes that it may have.

    Raises:
        KeyAccessError: the password is another one.
        BundleRefusedError: the file was changed, or is none of ours.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            (entry,) = archive.infolist()
        begin = entry.header_offset
        name_length, extra_length = struct.unpack_from("<HH", data, begin + 26)
        begin += 30 + name_length + extra_length
        stored = data[begin : begin + entry.compress_size]
        whole = (
            entry.compress_type == METHOD
            and entry.extra == _EXTRA
            and entry.header_offset == 0
            and len(stored) == entry.compress_size == entry.file_size + _SALT + _CHECK + _CODE
            and entry.file_size <= most
        )
        # The same bytes again: nothing stands before, between or behind what was sealed.
        rebuilt = _frame(entry.filename, stored, entry.file_size)
    except (zipfile.BadZipFile, struct.error, ValueError, OSError, NotImplementedError) as error:
        raise _refused("it is no zip file of one sealed file") from error
    if not whole or rebuilt != data:
        raise _refused("it is no zip file of one sealed file")
    cipher_key, code_key, check = _keys(password, stored[:_SALT])
    if not hmac.compare_digest(check, stored[_SALT : _SALT + _CHECK]):
        raise KeyAccessError("The password does not open the bundle.", cure="Ask who made it for the password.")
    sealed, code = stored[_SALT + _CHECK : -_CODE], stored[-_CODE:]
    if not hmac.compare_digest(hmac.digest(code_key, sealed, "sha1")[:_CODE], code):
        raise _refused("what it holds was changed, or the password is another one")
    return _counter_mode(cipher_key, sealed)


def _frame(name: str, stored: bytes, size: int) -> bytes:
    """The zip file around what is stored (APPNOTE 6.3.9, 4.3)."""
    file_name = name.encode("ascii")
    common = struct.pack(
        "<HHHHHIIIHH", _VERSION, _FLAGS, METHOD, *_MOMENT, 0, len(stored), size, len(file_name), len(_EXTRA)
    )
    local = b"PK\x03\x04" + common + file_name + _EXTRA
    central = b"PK\x01\x02" + struct.pack("<H", _VERSION) + common
    central += struct.pack("<HHHII", 0, 0, 0, 0, 0) + file_name + _EXTRA
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local) + len(stored), 0)
    return local + stored + central + end


def _keys(password: str, salt: bytes) -> tuple[bytes, bytes, bytes]:
    """Cipher's key, authentication's key, and two bytes by which a wrong password is seen."""
    made = hashlib.pbkdf2_hmac("sha1", password.encode(), salt, _ROUNDS, dklen=66)
    return made[:32], made[32:64], made[64:]


def _counter_mode(key: bytes, data: bytes) -> bytes:
    """AES-256 with the counter as a little-endian number, from 1; the same function seals and opens."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    parts = []
    for begin in range(0, len(data), _CHUNK):
        piece = np.frombuffer(data[begin : begin + _CHUNK], dtype=np.uint8)
        blocks = -(-len(piece) // 16)
        counters = np.zeros((blocks, 2), dtype="<u8")
        counters[:, 0] = np.arange(begin // 16 + 1, begin // 16 + 1 + blocks, dtype=np.uint64)
        stream = np.frombuffer(encryptor.update(counters.tobytes()), dtype=np.uint8)
        parts.append((piece ^ stream[: len(piece)]).tobytes())
    return b"".join(parts)


def _refused(what: str) -> BundleRefusedError:
    return BundleRefusedError(
        f"The bundle was refused 核验不通过: {what}.", cure="Do not rely on it; ask who made it for another copy."
    )
