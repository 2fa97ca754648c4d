"""Keys protected by a device of GM/T 0018 (cryptographic card or machine): its key-encryption key never leaves it.

The device makes two session keys under its key-encryption key; with the first it encrypts
(SM4-CBC, PKCS#7), with the second it authenticates (encrypt-then-MAC). CBC-MAC is sound for one fixed length,
so the MAC is taken of the 32 bytes of SM3 over all that has to hold::

    sealed = len || wrapped K1 || len || wrapped K2 || IV (16) || ciphertext || MAC (16)
    MAC    = CBC-MAC(K2, SM3("liucun/sdf/v1" || len(context) || context || sealed without MAC))
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable
from typing import Final

from retention.crypto import sm2
from retention.crypto.suites import suite
from retention.errors import KeyProviderError, KeyRefusedError, WrongPassphraseError
from retention.keys.provider import UNCERTIFIED, ProviderDescription
from retention.keys.sdf_library import BLOCK, PIN_REFUSED, REFUSED, SdfError, SdfLibrary, SdfSession
from retention.keys.settings import SdfSettings
from retention.keys.wrapped import Wrapped

KIND: Final = "sdf"


class SdfDevice:
    """A ``KeyProvider``. The key-encryption key is made with the device's own tools; rotation means another index."""

    def __init__(self, settings: SdfSettings, library: SdfLibrary, pin: str = "") -> None:
        self.certification = UNCERTIFIED
        self._settings = settings
        self._library = library
        self._lock = threading.Lock()
        self._pin = pin
        with library.session() as session:
            self._info = session.info()
            self._log_public = session.public_key(settings.sign_index) if settings.sign_index else None

    def __repr__(self) -> str:
        return f"<SdfDevice {self._info.name} {self._info.serial}>"

    @classmethod
    def open(cls, settings: SdfSettings, secret: Callable[[], str]) -> SdfDevice:
        """Open the device and check that its key-encryption key is there, and its signing key if one is named.

        ``secret`` asks for the access code of the signing key; without ``sign_index`` it is not called.

        Raises:
            KeyProviderError: the library, the device or a key is not there.
            WrongPassphraseError: the device refuses the access code.
        """
        opened = cls(settings, SdfLibrary(settings.library), secret() if settings.sign_index else "")
        opened.unwrap(opened.wrap(bytes(BLOCK), b"probe"), b"probe")
        if opened.log_public is not None:
            sm2.verify(opened.log_public, b"probe", opened.sign_log(b"probe"))
        return opened

    @property
    def log_public(self) -> bytes | None:
        """See ``SignsLog``."""
        return self._log_public

    def sign_log(self, message: bytes) -> bytes:
        """See ``SignsLog``."""
        index, public = self._settings.sign_index, self._log_public
        if index is None or public is None:
            raise KeyProviderError("The settings name no signing key of the device.", cure="Set [keys.sdf] sign_index.")
        with self._lock, self._library.session() as session:
            try:
                return session.sign(index, self._pin, sm2.message_digest(public, message))
            except SdfError as error:
                if error.code in PIN_REFUSED:
                    raise WrongPassphraseError(
                        f"The device refuses the access code of its signing key {index} ({error.what})",
                        cure="Check LIUCUN_PASSPHRASE or LIUCUN_PASSPHRASE_FILE.",
                    ) from error
                raise

    @property
    def description(self) -> ProviderDescription:
        """See ``KeyProvider``."""
        info = self._info
        return ProviderDescription(
            kind=KIND,
            certification=self.certification,
            key_id=self._key_id,
            detail=f"GM/T 0018 device {info.name} of {info.issuer}, serial {info.serial}, SM4 in the device",
        )

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """See ``KeyProvider``."""
        index = self._settings.kek_index
        with self._lock, self._library.session() as session:
            iv = session.random(BLOCK)
            with session.generated(index) as (first, wrapped_first), session.generated(index) as (second, wrapped):
                body = _field(wrapped_first) + _field(wrapped) + iv + session.encrypt(first, iv, _padded(key))
                sealed = body + session.mac(second, _digest(context, body))
        return Wrapped(KIND, self._key_id, sealed).to_bytes()

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """See ``KeyProvider``."""
        wrapped = Wrapped.from_bytes(blob, kind=KIND)
        index = _index_of(wrapped.key_id)
        body, mac = wrapped.sealed[:-BLOCK], wrapped.sealed[-BLOCK:]
        first, rest = _split(body)
        second, rest = _split(rest)
        iv, ciphertext = rest[:BLOCK], rest[BLOCK:]
        if not ciphertext or len(ciphertext) % BLOCK:
            raise _tampered()
        with self._lock, self._library.session() as session:
            try:
                self._check(session, index, second, _digest(context, body), mac)
                with session.imported(index, first) as key:
                    return _unpadded(session.decrypt(key, iv, ciphertext))
            except SdfError as error:
                if error.code in REFUSED:
                    raise _tampered() from error
                raise

    def close(self) -> None:
        """Close the device."""
        self._library.close()

    @property
    def _key_id(self) -> str:
        return f"kek-{self._settings.kek_index}"

    def _check(self, session: SdfSession, index: int, wrapped: bytes, digest: bytes, mac: bytes) -> None:
        with session.imported(index, wrapped) as key:
            if not hmac.compare_digest(session.mac(key, digest), mac):
                raise _tampered()


def _digest(context: bytes, body: bytes) -> bytes:
    return suite().hash(b"liucun/sdf/v1", len(context).to_bytes(4), context, body)


def _field(value: bytes) -> bytes:
    return len(value).to_bytes(2) + value


def _split(data: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(data[:2])
    if len(data) < 2 or not 0 < length <= len(data) - 2:
        raise _tampered()
    return data[2 : 2 + length], data[2 + length :]


def _index_of(key_id: str) -> int:
    number = key_id.removeprefix("kek-")
    if not key_id.startswith("kek-") or not number.isascii() or not number.isdigit() or len(number) > 5:
        raise _tampered()
    return int(number)


def _padded(key: bytes) -> bytes:
    missing = BLOCK - len(key) % BLOCK
    return key + bytes([missing]) * missing


def _unpadded(data: bytes) -> bytes:
    # Authenticated before it was decrypted: a wrong padding is a fault, not an oracle.
    missing = data[-1] if data else 0
    if not 1 <= missing <= BLOCK or data[-missing:] != bytes([missing]) * missing:
        raise _tampered()
    return data[:-missing]


def _tampered() -> KeyRefusedError:
    return KeyRefusedError(
        "A wrapped key does not authenticate: it was changed, belongs elsewhere, or another device wrapped it.",
        cure="Connect the device that belongs to this store, or restore the store of period keys from its backup.",
    )
