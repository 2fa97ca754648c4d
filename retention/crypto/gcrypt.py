"""SM4-GCM and SM3 by libgcrypt: four to five times the speed of OpenSSL, on most Debian systems already.

Loaded at run time where it is found; nothing here is used before ``self_test`` of
``retention.crypto.suites`` has passed.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from cffi import FFI

from errors import IntegrityError

_GCM: Final = 9
_DISABLE_SECMEM: Final = 37
_INITIALIZATION_FINISHED: Final = 38
_CHECKSUM: Final = 10
"""GPG_ERR_CHECKSUM, in the low 16 bits of an error."""
OLDEST: Final = (1, 9, 0)
"""First version with SM4 and SM3 together."""

_DECLARATIONS: Final = """
typedef struct gcry_cipher_handle *gcry_cipher_hd_t;
const char *gcry_check_version(const char *req);
unsigned int gcry_control(int cmd, ...);
int gcry_cipher_map_name(const char *name);
int gcry_md_map_name(const char *name);
unsigned int gcry_cipher_open(gcry_cipher_hd_t *handle, int algo, int mode, unsigned int flags);
void gcry_cipher_close(gcry_cipher_hd_t handle);
unsigned int gcry_cipher_setkey(gcry_cipher_hd_t handle, const void *key, size_t keylen);
unsigned int gcry_cipher_setiv(gcry_cipher_hd_t handle, const void *iv, size_t ivlen);
unsigned int gcry_cipher_authenticate(gcry_cipher_hd_t handle, const void *abuf, size_t abuflen);
unsigned int gcry_cipher_encrypt(gcry_cipher_hd_t handle, void *out, size_t outsize, const void *in, size_t inlen);
unsigned int gcry_cipher_decrypt(gcry_cipher_hd_t handle, void *out, size_t outsize, const void *in, size_t inlen);
unsigned int gcry_cipher_gettag(gcry_cipher_hd_t handle, void *outtag, size_t taglen);
unsigned int gcry_cipher_checktag(gcry_cipher_hd_t handle, const void *intag, size_t taglen);
void gcry_md_hash_buffer(int algo, void *digest, const void *buffer, size_t length);
"""


class GcryptUnavailableError(Exception):
    """libgcrypt cannot be used here; the message says why."""


class Gcrypt:
    """The library, initialised. Thread-safe: every call has a handle of its own."""

    def __init__(self) -> None:
        self._ffi = FFI()
        self._ffi.cdef(_DECLARATIONS)
        self._lib = self._load()
        found = self._lib.gcry_check_version(self._ffi.NULL)
        self.version: str = self._ffi.string(found).decode()
        if tuple(int(part) for part in self.version.split("-")[0].split(".")) < OLDEST:
            raise GcryptUnavailableError(f"libgcrypt {self.version} is too old")
        zero = self._ffi.cast("int", 0)
        self._lib.gcry_control(_DISABLE_SECMEM, zero)
        self._lib.gcry_control(_INITIALIZATION_FINISHED, zero)
        self._sm4 = self._lib.gcry_cipher_map_name(b"SM4")
        self._sm3 = self._lib.gcry_md_map_name(b"SM3")
        if not self._sm4 or not self._sm3:
            raise GcryptUnavailableError(f"libgcrypt {self.version} was built without SM4 or SM3")

    def cipher(self, key: bytes) -> Sm4Gcm:
        """SM4-GCM under a key of 16 bytes."""
        return Sm4Gcm(self._ffi, self._lib, self._sm4, key)

    def sm3(self, data: bytes | bytearray | memoryview) -> bytes:
        """SM3 of a buffer: 32 bytes."""
        digest = self._ffi.new("unsigned char[32]")
        view = self._ffi.from_buffer(data)
        self._lib.gcry_md_hash_buffer(self._sm3, digest, view, len(view))
        return bytes(self._ffi.buffer(digest))

    def _load(self) -> Any:
        for name in ("libgcrypt.so.20", "libgcrypt.20.dylib"):
            try:
                return self._ffi.dlopen(name)
            except OSError:
                continue
        raise GcryptUnavailableError("libgcrypt is not installed")


class Sm4Gcm:
    """One key's cipher for many messages, each under a nonce of 12 bytes with a tag of 16."""

    def __init__(self, ffi: FFI, lib: Any, algorithm: int, key: bytes) -> None:
        self._ffi, self._lib = ffi, lib
        handle = ffi.new("gcry_cipher_hd_t *")
        self._check(lib.gcry_cipher_open(handle, algorithm, _GCM, 0))
        self._handle = ffi.gc(handle[0], lib.gcry_cipher_close)
        self._check(lib.gcry_cipher_setkey(self._handle, key, len(key)))

    def seal_into(self, nonce: bytes, plaintext: memoryview, out: memoryview, aad: bytes = b"") -> None:
        """Write ciphertext and tag (``len(plaintext) + 16`` bytes) to ``out``."""
        size = len(plaintext)
        self._begin(nonce, aad)
        target = self._ffi.from_buffer(out, require_writable=True)
        source = self._ffi.from_buffer(plaintext)
        self._check(self._lib.gcry_cipher_encrypt(self._handle, target, size, source, size))
        self._check(self._lib.gcry_cipher_gettag(self._handle, target + size, 16))

    def open_into(self, nonce: bytes, sealed: memoryview, out: memoryview, aad: bytes = b"") -> None:
        """Write the plaintext (``len(sealed) - 16`` bytes) to ``out``, which holds nothing trusted unless this returns.

        Raises:
            IntegrityError: the tag does not hold.
        """
        size = len(sealed) - 16
        self._begin(nonce, aad)
        target = self._ffi.from_buffer(out, require_writable=True)
        source = self._ffi.from_buffer(sealed)
        self._check(self._lib.gcry_cipher_decrypt(self._handle, target, size, source, size))
        error = self._lib.gcry_cipher_checktag(self._handle, source + size, 16)
        if error:
            out[:size] = bytes(size)
            if error & 0xFFFF == _CHECKSUM:
                raise IntegrityError("A sealed value failed authentication.", cure="Restore it from a backup.")
            self._check(error)

    def _begin(self, nonce: bytes, aad: bytes) -> None:
        self._check(self._lib.gcry_cipher_setiv(self._handle, nonce, len(nonce)))
        if aad:
            self._check(self._lib.gcry_cipher_authenticate(self._handle, aad, len(aad)))

    def _check(self, error: int) -> None:
        if error:
            raise IntegrityError(
                f"libgcrypt refused an operation (error {error & 0xFFFF}).",
                cure="Set LIUCUN_SM4=cryptography to use the other implementation, and report this.",
            )


@functools.cache
def load() -> Gcrypt:
    """The library of this process.

    Raises:
        GcryptUnavailableError: it is not here, too old, or without SM4.
    """
    return Gcrypt()
