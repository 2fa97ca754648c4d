"""SM2 by the system's libcrypto (OpenSSL 3): the second implementation that the first one is checked against."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from cffi import FFI

from retention.crypto.sm2_encoding import public_to_der
from retention.errors import CryptoUnavailableError

LIBRARY: Final = "libcrypto.so.3"
_DECLARATIONS: Final = """
typedef struct evp_pkey_st EVP_PKEY;
typedef struct evp_pkey_ctx_st EVP_PKEY_CTX;
typedef struct evp_md_st EVP_MD;
typedef struct evp_md_ctx_st EVP_MD_CTX;
const char *OpenSSL_version(int);
const EVP_MD *EVP_get_digestbyname(const char *);
EVP_PKEY *d2i_PUBKEY(EVP_PKEY **, const unsigned char **, long);
EVP_PKEY *d2i_AutoPrivateKey(EVP_PKEY **, const unsigned char **, long);
void EVP_PKEY_free(EVP_PKEY *);
EVP_PKEY_CTX *EVP_PKEY_CTX_new(EVP_PKEY *, void *);
void EVP_PKEY_CTX_free(EVP_PKEY_CTX *);
int EVP_PKEY_CTX_set1_id(EVP_PKEY_CTX *, const void *, int);
EVP_MD_CTX *EVP_MD_CTX_new(void);
void EVP_MD_CTX_free(EVP_MD_CTX *);
void EVP_MD_CTX_set_pkey_ctx(EVP_MD_CTX *, EVP_PKEY_CTX *);
int EVP_DigestSignInit(EVP_MD_CTX *, EVP_PKEY_CTX **, const EVP_MD *, void *, EVP_PKEY *);
int EVP_DigestSign(EVP_MD_CTX *, unsigned char *, size_t *, const unsigned char *, size_t);
int EVP_DigestVerifyInit(EVP_MD_CTX *, EVP_PKEY_CTX **, const EVP_MD *, void *, EVP_PKEY *);
int EVP_DigestVerify(EVP_MD_CTX *, const unsigned char *, size_t, const unsigned char *, size_t);
int EVP_PKEY_encrypt_init(EVP_PKEY_CTX *);
int EVP_PKEY_encrypt(EVP_PKEY_CTX *, unsigned char *, size_t *, const unsigned char *, size_t);
int EVP_PKEY_decrypt_init(EVP_PKEY_CTX *);
int EVP_PKEY_decrypt(EVP_PKEY_CTX *, unsigned char *, size_t *, const unsigned char *, size_t);
void ERR_clear_error(void);
"""
# PKCS#8: id-ecPublicKey on the SM2 curve, around an ECPrivateKey (RFC 5915) of 32 bytes without its public half.
_PKCS8: Final = bytes.fromhex("3041020100301306072a8648ce3d020106082a811ccf5501822d042730250201010420")


class Libcrypto:
    """The loaded library. Use ``load``. Every refusal is a ``ValueError``."""

    def __init__(self) -> None:
        self._ffi: Any = FFI()
        self._ffi.cdef(_DECLARATIONS)
        try:
            self._lib: Any = self._ffi.dlopen(LIBRARY)
            self.version: str = self._ffi.string(self._lib.OpenSSL_version(0)).decode().partition("  ")[0]
            self._sm3 = self._lib.EVP_get_digestbyname(b"SM3")
        except (OSError, AttributeError) as error:
            raise _unavailable(str(error)) from error
        if self._sm3 == self._ffi.NULL:
            raise _unavailable("it was built without SM3")

    def sign(self, private: bytes, message: bytes, identity: bytes) -> bytes:
        """DER signature over Z and the message."""
        key = self._private(private)
        state = self._state(key, identity, self._lib.EVP_DigestSignInit)
        out, length = self._ffi.new("unsigned char[]", 128), self._ffi.new("size_t *", 128)
        self._done(self._lib.EVP_DigestSign(state[0], out, length, message, len(message)))
        return bytes(self._ffi.buffer(out, length[0]))

    def verify(self, public: bytes, message: bytes, der: bytes, identity: bytes) -> None:
        """Return if the DER signature holds."""
        state = self._state(self._public(public), identity, self._lib.EVP_DigestVerifyInit)
        self._done(self._lib.EVP_DigestVerify(state[0], der, len(der), message, len(message)))

    def encrypt(self, public: bytes, plaintext: bytes) -> bytes:
        """DER ciphertext."""
        return self._crypt(self._public(public), plaintext, "encrypt")

    def decrypt(self, private: bytes, ciphertext: bytes) -> bytes:
        """The plaintext."""
        return self._crypt(self._private(private), ciphertext, "decrypt")

    def _crypt(self, key: Any, data: bytes, what: str) -> bytes:
        lib, ffi = self._lib, self._ffi
        context = ffi.gc(lib.EVP_PKEY_CTX_new(key, ffi.NULL), lib.EVP_PKEY_CTX_free)
        self._done(getattr(lib, f"EVP_PKEY_{what}_init")(context))
        run, room = getattr(lib, f"EVP_PKEY_{what}"), len(data) + 256
        out, length = ffi.new("unsigned char[]", room), ffi.new("size_t *", room)
        self._done(run(context, out, length, data, len(data)))
        return bytes(ffi.buffer(out, length[0]))

    def _state(self, key: Any, identity: bytes, begin: Any) -> tuple[Any, Any, Any]:
        lib, ffi = self._lib, self._ffi
        state = ffi.gc(lib.EVP_MD_CTX_new(), lib.EVP_MD_CTX_free)
        context = ffi.gc(lib.EVP_PKEY_CTX_new(key, ffi.NULL), lib.EVP_PKEY_CTX_free)
        self._done(lib.EVP_PKEY_CTX_set1_id(context, identity, len(identity)))
        lib.EVP_MD_CTX_set_pkey_ctx(state, context)
        self._done(begin(state, ffi.NULL, self._sm3, ffi.NULL, key))
        return state, context, key  # the state borrows the other two

    def _public(self, public: bytes) -> Any:
        return self._key(self._lib.d2i_PUBKEY, public_to_der(public))

    def _private(self, private: bytes) -> Any:
        return self._key(self._lib.d2i_AutoPrivateKey, _PKCS8 + private)

    def _key(self, read: Any, der: bytes) -> Any:
        data = self._ffi.from_buffer("unsigned char[]", der)
        found = read(self._ffi.NULL, self._ffi.new("const unsigned char **", data), len(der))
        if found == self._ffi.NULL:
            self._lib.ERR_clear_error()
            raise ValueError("libcrypto does not take this key")
        return self._ffi.gc(found, self._lib.EVP_PKEY_free)

    def _done(self, code: int) -> None:
        if code != 1:
            self._lib.ERR_clear_error()
            raise ValueError("libcrypto refused")


@cache
def load() -> Libcrypto:
    """The library, loaded once a process.

    Raises:
        CryptoUnavailableError: it is not here, or has no SM3.
    """
    return Libcrypto()


def _unavailable(why: str) -> CryptoUnavailableError:
    return CryptoUnavailableError(
        f"{LIBRARY} cannot be used: {why}.", cure="SM2 works without it; install OpenSSL 3 for the cross-check."
    )
