"""Keys wrapped by the transit engine of HashiCorp Vault or OpenBao, over its HTTP API.

The token comes from VAULT_TOKEN or the file VAULT_TOKEN_FILE, never from the settings. The caller's
context is the associated data of the engine's AEAD, so the key must be of an AEAD type (aes256-gcm96,
chacha20-poly1305).
"""

from __future__ import annotations

import base64
import os
import ssl
from pathlib import Path
from typing import Any, Final

import httpx

from retention.errors import KeyProviderError, KeyRefusedError
from retention.keys.provider import UNCERTIFIED, ProviderDescription
from retention.keys.settings import VaultSettings
from retention.keys.wrapped import Wrapped

KIND: Final = "vault"
TOKEN: Final = "VAULT_TOKEN"
TOKEN_FILE: Final = "VAULT_TOKEN_FILE"
_ANSWER_LIMIT: Final = 1 << 16


class VaultTransit:
    """A ``KeyProvider``. The key is made by Vault's administrator."""

    def __init__(self, settings: VaultSettings, client: httpx.Client) -> None:
        self.certification = UNCERTIFIED
        self._settings = settings
        self._client = client

    def __repr__(self) -> str:
        return f"<VaultTransit {self._settings.address} {self._settings.key}>"

    @classmethod
    def open(cls, settings: VaultSettings) -> VaultTransit:
        """Check that the engine wraps and unwraps with this key.

        Raises:
            KeyProviderError: there is no token, or the server cannot be reached or refuses.
        """
        headers = {"X-Vault-Token": _token(), "X-Vault-Request": "true"}
        if settings.namespace:
            headers["X-Vault-Namespace"] = settings.namespace
        try:
            trust: ssl.SSLContext | bool = (
                ssl.create_default_context(cafile=settings.ca_file) if settings.ca_file else True
            )
        except (OSError, ssl.SSLError) as error:
            raise KeyProviderError(
                f"The certificate file {settings.ca_file} cannot be used: {error}.",
                cure="Correct [keys.vault] ca_file.",
            ) from error
        client = httpx.Client(
            headers=headers, timeout=settings.timeout_seconds, verify=trust, follow_redirects=False, trust_env=False
        )
        opened = cls(settings, client)
        opened.unwrap(opened.wrap(bytes(16), b"probe"), b"probe")
        return opened

    @property
    def description(self) -> ProviderDescription:
        """See ``KeyProvider``."""
        return ProviderDescription(
            kind=KIND,
            certification=self.certification,
            key_id=self._settings.key,
            detail=f"transit engine {self._settings.mount} at {self._settings.address}",
        )

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """See ``KeyProvider``."""
        sealed = self._ask("encrypt", "ciphertext", plaintext=_text(key), associated_data=_text(context))
        return Wrapped(KIND, self._settings.key, sealed.encode("ascii", "replace")).to_bytes()

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """See ``KeyProvider``."""
        wrapped = Wrapped.from_bytes(blob, kind=KIND)
        if wrapped.key_id != self._settings.key:
            raise KeyRefusedError(
                f"A key was wrapped by {wrapped.key_id!r}, not by {self._settings.key!r}.",
                cure="Correct [keys.vault] key, or rewrap with the settings that wrapped it.",
            )
        try:
            sealed = wrapped.sealed.decode("ascii")
        except UnicodeDecodeError:
            raise _tampered(": it is no text") from None
        plaintext = self._ask("decrypt", "plaintext", ciphertext=sealed, associated_data=_text(context))
        try:
            return base64.b64decode(plaintext, validate=True)
        except ValueError as error:
            raise self._nonsense() from error

    def rotate(self) -> str:
        """Let the engine make the key's next version; the older ones still unwrap. Returns the key's name."""
        self._post(f"keys/{self._settings.key}/rotate", {})
        return self._settings.key

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def _ask(self, operation: str, wanted: str, **values: str) -> str:
        answer = self._post(f"{operation}/{self._settings.key}", values)
        if answer.status_code == 400 and operation == "decrypt":
            raise _tampered(_said(answer))
        self._check(answer)
        try:
            found = answer.json()["data"][wanted]
        except (ValueError, KeyError, TypeError) as error:
            raise self._nonsense() from error
        if not isinstance(found, str) or not found:
            raise self._nonsense()
        return found

    def _post(self, path: str, values: dict[str, str]) -> httpx.Response:
        url = f"{self._settings.address}/v1/{self._settings.mount}/{path}"
        try:
            answer = self._client.post(url, json=values)
        except (httpx.HTTPError, ssl.SSLError) as error:
            raise KeyProviderError(
                f"Vault at {self._settings.address} cannot be reached: {error or type(error).__name__}.",
                cure="Check the network, the server and [keys.vault] address and ca_file.",
            ) from error
        if len(answer.content) > _ANSWER_LIMIT:
            raise self._nonsense()
        if path.endswith("/rotate"):
            self._check(answer)
        return answer

    def _check(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        what, cure = {
            403: ("refuses the token", f"Give a valid one in {TOKEN} or {TOKEN_FILE}, with rights to this key."),
            404: ("does not know the key or the engine", "Correct [keys.vault] key, mount and namespace."),
            503: ("is sealed or in maintenance", "Let its administrators unseal it."),
        }.get(answer.status_code, ("answers with an error", "See Vault's log."))
        raise KeyProviderError(
            f"Vault at {self._settings.address} {what} (status {answer.status_code}{_said(answer)}).", cure=cure
        )

    def _nonsense(self) -> KeyProviderError:
        return KeyProviderError(
            f"What answers at {self._settings.address} does not speak as Vault's transit engine does.",
            cure="Correct [keys.vault] address.",
        )


def _token() -> str:
    token, file = os.environ.get(TOKEN, ""), os.environ.get(TOKEN_FILE)
    if not token and file:
        try:
            token = Path(file).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise KeyProviderError(f"The token file {file} cannot be read.", cure=f"Check {TOKEN_FILE}.") from error
    if not token or not token.isascii() or not token.isprintable():
        raise KeyProviderError("There is no token for Vault.", cure=f"Set {TOKEN}, or {TOKEN_FILE} to a file with it.")
    return token


def _said(answer: httpx.Response) -> str:
    try:
        errors: Any = answer.json()["errors"]
        return ": " + "; ".join(str(error)[:120] for error in errors[:3]) if errors else ""
    except (ValueError, KeyError, TypeError):
        return ""


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _tampered(why: str) -> KeyRefusedError:
    return KeyRefusedError(
        f"Vault does not open a wrapped key{why}.",
        cure="It was changed, belongs elsewhere, or its key version is gone: restore the store of period keys.",
    )
