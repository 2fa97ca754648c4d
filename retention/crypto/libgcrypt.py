"""SM4-GCM and SM3 by libgcrypt (1.9 or newer), which most Linux systems carry.

It is four to six times as fast as OpenSSL's SM4, and every call gives up the
interpreter's lock. Loaded at run time; ``load`` says why where it is not to be had.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from cffi import FFI

from retention.crypto.ciphers import CHUNK_BYTES, NONCE_BYTES, SEALED_CHUNK_BYTES, TAG_BYTES, Buffer, TagError, nonce_at
from retention.errors import CryptoUnavailableError

LIBRARY: Final = "libgcrypt.so.20"
_OLDEST: Final = b"1.9.0"
_MODE_GCM: Final = 9
_DISABLE_SECURE_MEMORY: Final = 37
_INITIALIZATION_FINISHED: Final = 38
_IS_INITIALIZED: Final = 39
_CHECKSUM_ERROR: Final = 10
_CODE_MASK: Final = 0xFFFF

_DECLARATIONS: Final = """
typedef struct gcry_cipher_handle *gcry_cipher_hd_t;
typedef struct gcry_md_handle *gcry_md_hd_t;
const char *gcry_check_version(const char *);
unsigned gcry_control(int, ...);
int gcry_cipher_map_name(const char *);
int gcry_md_map_name(const char *);
unsigned gcry_cipher_open(gcry_cipher_hd_t *, int, int, unsigned);
void gcry_cipher_close(gcry_cipher_hd_t);
unsigned gcry_cipher_setkey(gcry_cipher_hd_t, const void *, size_t);
unsigned gcry_cipher_setiv(gcry_cipher_hd_t, const void *, size_t);
unsigned gcry_cipher_authenticate(gcry_cipher_hd_t, const void *, size_t);
unsigned gcry_cipher_encrypt(gcry_cipher_hd_t, void *, size_t, const void *, size_t);
unsigned gcry_cipher_decrypt(gcry_cipher_hd_t, void *, size_t, const void *, size_t);
unsigned gcry_cipher_gettag(gcry_cipher_hd_t, void *, size_t);
unsigned gcry_cipher_checktag(gcry_cipher_hd_t, const void *, size_t);
unsigned gcry_md_open(gcry_md_hd_t *, int, unsigned);
void gcry_md_write(gcry_md_hd_t, const void *, size_t);
unsigned char *gcry_md_read(gcry_md_hd_t, int);
void gcry_md_close(gcry_md_hd_t);
void gcry_md_hash_buffer(int, void *, const void *, size_t);
"""


class Libgcrypt:
    """The loaded library. Use ``load``."""

    def __init__(self) -> None:
        self.ffi: Any = FFI()
        self.ffi.cdef(_DECLARATIONS)
        try:
            self.lib: Any = self.ffi.dlopen(LIBRARY)
            version = self.lib.gcry_check_version(_OLDEST)
        except (OSError, AttributeError) as error:
            raise _unavailable(str(error)) from error
        if version == self.ffi.NULL:
            raise _unavailable("it is older than 1.9")
        self.version: str = self.ffi.string(version).decode()
        if not self.lib.gcry_control(_IS_INITIALIZED):
            zero = self.ffi.cast("int", 0)
            self.lib.gcry_control(_DISABLE_SECURE_MEMORY, zero)
            self.lib.gcry_control(_INITIALIZATION_FINISHED, zero)
        self.sm4: int = self.lib.gcry_cipher_map_name(b"SM4")
        self.sm3: int = self.lib.gcry_md_map_name(b"SM3")
        if not self.sm4 or not self.sm3:
            raise _unavailable("it was built without SM4 or SM3")

    def check(self, code: int) -> None:
        """Raise for a result that should never come."""
        if code:
            raise CryptoUnavailableError(
                f"libgcrypt {self.version} refused an operation (code {code & _CODE_MASK}).",
                cure="Set LIUCUN_SM4=cryptography to use the other implementation, and report this.",
            )

    def sm4_gcm(self, key: bytes) -> Sm4Gcm:
        """SM4-GCM under a 16-byte key."""
        return Sm4Gcm(self, key)

    def sm3_once(self, data: bytes) -> bytes:
        """SM3 of one message, without a state to set up and take down."""
        out = bytearray(32)
        self.lib.gcry_md_hash_buffer(self.sm3, self.ffi.from_buffer(out), data, len(data))
        return bytes(out)

    def sm3_many(self, messages: Sequence[bytes]) -> list[bytes]:
        """SM3 of each of many messages, with one place for all results."""
        out = bytearray(32 * len(messages))
        target, name, hashed = self.ffi.from_buffer(out), self.sm3, self.lib.gcry_md_hash_buffer
        for at, data in enumerate(messages):
            hashed(name, target + 32 * at, data, len(data))
        whole = bytes(out)
        return [whole[at : at + 32] for at in range(0, len(whole), 32)]

    def sm3_hasher(self) -> Sm3:
        """A running SM3."""
        return Sm3(self)


class Sm3:
    """SM3 fed piece by piece; a ``Hasher``."""

    def __init__(self, library: Libgcrypt) -> None:
        self._library = library
        handle = library.ffi.new("gcry_md_hd_t *")
        library.check(library.lib.gcry_md_open(handle, library.sm3, 0))
        self._handle = library.ffi.gc(handle[0], library.lib.gcry_md_close)

    def update(self, data: Buffer) -> None:
        """Feed a piece."""
        view = self._library.ffi.from_buffer(data)
        self._library.lib.gcry_md_write(self._handle, view, len(view))

    def digest(self) -> bytes:
        """The 32 bytes; nothing may be fed afterwards."""
        return bytes(self._library.ffi.buffer(self._library.lib.gcry_md_read(self._handle, self._library.sm3), 32))


class Sm4Gcm:
    """A ``Cipher``."""

    def __init__(self, library: Libgcrypt, key: bytes) -> None:
        self._library = library
        ffi, lib = library.ffi, library.lib
        handle = ffi.new("gcry_cipher_hd_t *")
        library.check(lib.gcry_cipher_open(handle, library.sm4, _MODE_GCM, 0))
        # gcry_cipher_close wipes the key schedule.
        self._handle = ffi.gc(handle[0], lib.gcry_cipher_close)
        library.check(lib.gcry_cipher_setkey(self._handle, key, len(key)))
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return "<SM4-GCM by libgcrypt>"

    def seal(self, nonce: bytes, plaintext: Buffer, aad: bytes) -> bytes:
        """See ``Cipher.seal``."""
        out = bytearray(len(plaintext) + TAG_BYTES)
        ffi = self._library.ffi
        with self._lock:
            self._seal(nonce, aad, ffi.from_buffer(plaintext), len(plaintext), ffi.from_buffer(out))
        return bytes(out)

    def open(self, nonce: bytes, sealed: Buffer, aad: bytes) -> bytes:
        """See ``Cipher.open``."""
        length = len(sealed) - TAG_BYTES
        if length < 0:
            raise TagError
        out = bytearray(length)
        ffi = self._library.ffi
        with self._lock:
            if not self._open(nonce, aad, ffi.from_buffer(sealed), length, ffi.from_buffer(out)):
                raise TagError
        return bytes(out)

    def seal_chunks(self, base: bytes, first: int, plaintext: Buffer, out: memoryview) -> None:
        """See ``Cipher.seal_chunks``."""
        ffi = self._library.ffi
        source, target = ffi.from_buffer(plaintext), ffi.from_buffer(out, require_writable=True)
        total = len(source)
        if len(target) != total + TAG_BYTES * _count(total):
            raise ValueError("the output is not as long as the sealed chunks")
        with self._lock:
            for index in range(_count(total)):
                at = index * CHUNK_BYTES
                length = min(CHUNK_BYTES, total - at)
                self._seal(nonce_at(base, first + index), b"", source + at, length, target + index * SEALED_CHUNK_BYTES)

    def open_chunks(self, base: bytes, first: int, sealed: Buffer, out: memoryview) -> None:
        """See ``Cipher.open_chunks``."""
        ffi = self._library.ffi
        source, target = ffi.from_buffer(sealed), ffi.from_buffer(out, require_writable=True)
        count = -(-len(source) // SEALED_CHUNK_BYTES)
        if len(target) != len(source) - TAG_BYTES * count:
            raise ValueError("the output is not as long as the opened chunks")
        with self._lock:
            for index in range(count):
                at = index * SEALED_CHUNK_BYTES
                length = min(SEALED_CHUNK_BYTES, len(source) - at) - TAG_BYTES
                if length < 0 or not self._open(
                    nonce_at(base, first + index), b"", source + at, length, target + index * CHUNK_BYTES
                ):
                    raise TagError(index)

    def _seal(self, nonce: bytes, aad: bytes, source: Any, length: int, target: Any) -> None:
        lib, handle, check = self._library.lib, self._handle, self._library.check
        check(lib.gcry_cipher_setiv(handle, nonce, NONCE_BYTES))
        if aad:
            check(lib.gcry_cipher_authenticate(handle, aad, len(aad)))
        check(lib.gcry_cipher_encrypt(handle, target, length, source, length))
        check(lib.gcry_cipher_gettag(handle, target + length, TAG_BYTES))

    def _open(self, nonce: bytes, aad: bytes, source: Any, length: int, target: Any) -> bool:
        lib, handle, check = self._library.lib, self._handle, self._library.check
        check(lib.gcry_cipher_setiv(handle, nonce, NONCE_BYTES))
        if aad:
            check(lib.gcry_cipher_authenticate(handle, aad, len(aad)))
        check(lib.gcry_cipher_decrypt(handle, target, length, source, length))
        code = lib.gcry_cipher_checktag(handle, source + length, TAG_BYTES)
        if code & _CODE_MASK == _CHECKSUM_ERROR:
            return False
        check(code)
        return True


@cache
def load() -> Libgcrypt:
    """The library, loaded once a process.

    Raises:
        CryptoUnavailableError: it is not here, too old, or lacks SM4 or SM3.
    """
    return Libgcrypt()


def _count(plaintext: int) -> int:
    """Chunks of a run; an empty run is one empty chunk."""
    return max(1, -(-plaintext // CHUNK_BYTES))


def _unavailable(why: str) -> CryptoUnavailableError:
    return CryptoUnavailableError(
        f"{LIBRARY} cannot be used: {why}.",
        cure="Install libgcrypt 1.9 or newer (Debian: libgcrypt20), or let LIUCUN_SM4=cryptography choose the other.",
    )
