"""Keys on a PKCS#11 token (smart card, HSM): they are made there, wrap there, and cannot leave.

Wrapping is AES-256-GCM on the token with the caller's context as associated data. Keys are
labelled ``NAME-1``, ``NAME-2`` …; the highest is current, rotation makes the next. What the
token's own PKCS#11 module offers of SM4 is vendor's business and not used.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11 import exceptions as refusals

from errors import UsageError
from retention.errors import KeyProviderError, KeyRefusedError, WrongPassphraseError
from retention.keys.provider import UNCERTIFIED, ProviderDescription
from retention.keys.settings import Pkcs11Settings
from retention.keys.wrapped import Wrapped

KIND: Final = "pkcs11"
_NONCE: Final = 12
_TAG: Final = 16
_PIN_WRONG: Final = (refusals.PinIncorrect, refusals.PinInvalid, refusals.PinLenRange)
_PIN_USELESS: Final = (refusals.PinLocked, refusals.PinExpired, refusals.UserPinNotInitialized)
_TAMPERED: Final = (
    refusals.EncryptedDataInvalid,
    refusals.EncryptedDataLenRange,
    refusals.DataInvalid,
    refusals.DataLenRange,
    refusals.ArgumentsBad,
    refusals.MechanismParamInvalid,
    refusals.GeneralError,
    refusals.FunctionFailed,
)


@dataclass(slots=True)
class _Login:
    """A process logs in to a token once (PKCS#11 v2.40, 5.6): whoever opens it again shares the session."""

    token: Any
    session: Any
    salt: bytes
    pin: bytes
    users: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


_logins: dict[tuple[str, str], _Login] = {}
_opening = threading.Lock()


class Pkcs11Token:
    """A ``KeyProvider``. Safe for threads: a token's session does one thing at a time."""

    def __init__(self, settings: Pkcs11Settings, login: _Login) -> None:
        self.certification = UNCERTIFIED
        self._settings = settings
        self._login: _Login | None = login
        self._token = login.token
        self._session = login.session
        self._lock = login.lock
        self._keys: dict[int, Any] = {}

    def __repr__(self) -> str:
        return f"<Pkcs11Token {self._settings.token}>"

    @classmethod
    def open(cls, settings: Pkcs11Settings, pin: str, *, create: bool = False) -> Pkcs11Token:
        """Log in to the token; ``create`` makes the first key if there is none.

        Raises:
            WrongPassphraseError: the PIN is wrong.
            KeyProviderError: the library, token or key is not there, or the PIN is locked.
        """
        _check_pin(pin)
        with _translated(settings):
            if not Path(settings.library).is_file():
                raise KeyProviderError(
                    f"The PKCS#11 library {settings.library} is not there.",
                    cure="Install the token's module, or correct [keys.pkcs11] library.",
                )
            with _opening:
                opened = cls(settings, _logged_in(settings, pin))
            with opened._lock:
                opened._find()
        if not opened._keys:
            if not create:
                opened.close()
                raise KeyProviderError(
                    f"The token {settings.token!r} has no key {settings.key}-1.",
                    cure="Use the token of this store, or correct [keys.pkcs11] key.",
                )
            opened.rotate()
        return opened

    @property
    def description(self) -> ProviderDescription:
        """See ``KeyProvider``."""
        made = f"{_words(self._token.manufacturer_id)} {_words(self._token.model)}, serial {_words(self._token.serial)}"
        return ProviderDescription(
            kind=KIND,
            certification=self.certification,
            key_id=self._label(self._current()),
            detail=f"token {self._settings.token} ({made.strip()}), AES-256-GCM on the token",
        )

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """See ``KeyProvider``."""
        number, nonce = self._current(), secrets.token_bytes(_NONCE)
        with self._lock, _translated(self._settings):
            sealed = self._keys[number].encrypt(
                key, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(nonce, context, _TAG * 8)
            )
        return Wrapped(KIND, self._label(number), nonce + bytes(sealed)).to_bytes()

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """See ``KeyProvider``."""
        wrapped = Wrapped.from_bytes(blob, kind=KIND)
        number = self._number(wrapped.key_id)
        self._check_open()
        if number not in self._keys:
            raise KeyRefusedError(
                f"A key was wrapped by {wrapped.key_id!r}, which is not on the token {self._settings.token!r}.",
                cure="Connect the token that belongs to this store, or restore its key from the vendor's backup.",
            )
        nonce, sealed = wrapped.sealed[:_NONCE], wrapped.sealed[_NONCE:]
        if len(sealed) <= _TAG:
            raise _tampered()
        with self._lock, _translated(self._settings):
            try:
                opened = self._keys[number].decrypt(
                    sealed, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(nonce, context, _TAG * 8)
                )
            except _TAMPERED as error:
                # SoftHSM says GeneralError where a tag does not verify; a token that is gone fails the next line, too.
                self._keys[number].encrypt(
                    context, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(secrets.token_bytes(_NONCE))
                )
                raise _tampered() from error
        return bytes(opened)

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Labels of the keys on the token, oldest first; the last is current."""
        return tuple(self._label(number) for number in sorted(self._keys))

    def rotate(self) -> str:
        """Make another key on the token and use it from now on; returns its label."""
        self._check_open()
        with self._lock, _translated(self._settings):
            number = max(self._keys, default=0) + 1
            self._keys[number] = self._session.generate_key(
                KeyType.AES,
                256,
                label=self._label(number),
                id=self._label(number).encode("ascii"),
                store=True,
                capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
                template={
                    Attribute.SENSITIVE: True,
                    Attribute.EXTRACTABLE: False,
                    Attribute.PRIVATE: True,
                    Attribute.MODIFIABLE: False,
                },
            )
        return self._label(number)

    def forget(self, key_id: str) -> None:
        """Destroy a key on the token that is not current: what only it wrapped can never be unwrapped again.

        Raises:
            UsageError: it is the current key, or not on the token.
        """
        number = self._number(key_id)
        if number not in self._keys or number == self._current():
            raise UsageError(
                f"The key {key_id!r} is the current one or not on the token.",
                cure="Rotate and rewrap first; `liucun keys list` shows the ids.",
            )
        with self._lock, _translated(self._settings):
            self._keys[number].destroy()
            del self._keys[number]

    def close(self) -> None:
        """Give back the session; the last one to do so logs out."""
        with _opening:
            login, self._login = self._login, None
            self._keys.clear()
            if login is None:
                return
            login.users -= 1
            if not login.users:
                _logins.pop((self._settings.library, self._settings.token), None)
                with login.lock, _translated(self._settings):
                    login.session.close()

    def _find(self) -> None:
        for key in self._session.get_objects(
            {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.KEY_TYPE: KeyType.AES}
        ):
            number = self._number(key.label)
            if number:
                if number in self._keys:
                    raise KeyProviderError(
                        f"The token {self._settings.token!r} has two keys labelled {key.label!r}.",
                        cure="Remove the one that is not this store's.",
                    )
                self._keys[number] = key

    def _current(self) -> int:
        self._check_open()
        return max(self._keys)

    def _check_open(self) -> None:
        if self._login is None:
            raise KeyProviderError(
                f"The token {self._settings.token!r} was closed.", cure="This is a fault of the program: report it."
            )

    def _label(self, number: int) -> str:
        return f"{self._settings.key}-{number}"

    def _number(self, label: str) -> int:
        found = re.fullmatch(re.escape(self._settings.key) + r"-([1-9][0-9]{0,5})", label)
        return int(found[1]) if found else 0


def _logged_in(settings: Pkcs11Settings, pin: str) -> _Login:
    place = settings.library, settings.token
    login = _logins.get(place)
    if login is None:
        # A token plugged in after the library was loaded is seen only by a library that starts anew.
        tokens = [t for t in pkcs11.lib(settings.library).get_tokens() if t.label.strip() == settings.token]
        if len(tokens) != 1:
            raise KeyProviderError(
                f"{len(tokens)} tokens are labelled {settings.token!r}; exactly one is needed.",
                cure="Connect the token, or correct [keys.pkcs11] token.",
            )
        salt = secrets.token_bytes(16)
        login = _Login(tokens[0], tokens[0].open(user_pin=pin, rw=True), salt, _digest(pin, salt))
        _logins[place] = login
    elif not hmac.compare_digest(login.pin, _digest(pin, login.salt)):
        raise refusals.PinIncorrect
    login.users += 1
    return login


def _digest(pin: str, salt: bytes) -> bytes:
    return hashlib.sha256(salt + pin.encode("utf-8", "surrogatepass")).digest()


@contextmanager
def _translated(settings: Pkcs11Settings) -> Iterator[None]:
    try:
        yield
    except _PIN_WRONG as error:
        raise WrongPassphraseError(
            f"The token {settings.token!r} refuses the PIN.",
            cure="Check LIUCUN_PASSPHRASE or LIUCUN_PASSPHRASE_FILE: tokens lock after a few wrong ones.",
        ) from error
    except _PIN_USELESS as error:
        raise KeyProviderError(
            f"The PIN of the token {settings.token!r} is locked, expired or not set ({type(error).__name__}).",
            cure="Let the token's security officer reset it.",
        ) from error
    except refusals.PKCS11Error as error:
        if type(error) is refusals.PKCS11Error:
            raise _unusable(settings, error) from error
        raise KeyProviderError(
            f"The token {settings.token!r} failed: {type(error).__name__} {error}".rstrip() + ".",
            cure="Check that it is connected and its driver runs, then try again.",
        ) from error
    except (RuntimeError, OSError) as error:
        raise _unusable(settings, error) from error


def _check_pin(pin: str) -> None:
    if not pin or "\x00" in pin:
        raise WrongPassphraseError("The token's PIN is empty.", cure="Give it as LIUCUN_PASSPHRASE or in its file.")


def _unusable(settings: Pkcs11Settings, error: Exception) -> KeyProviderError:
    return KeyProviderError(
        f"The PKCS#11 library {settings.library} cannot be used: {error}.",
        cure="Install the token's module for this machine, or correct [keys.pkcs11] library.",
    )


def _tampered() -> KeyRefusedError:
    return KeyRefusedError(
        "A wrapped key does not authenticate: it was changed, or belongs elsewhere.",
        cure="Restore the store of period keys from its newest backup.",
    )


def _words(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.strip("\x00 ")
