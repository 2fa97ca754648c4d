"""Sign-in through an OpenID provider: authorization code with PKCE, state and nonce (OpenID Connect Core 3.1).

The provider only says who somebody is. What they may do stands in their account here, which an administrator tied to
the provider's ``sub``; nobody gets an account by signing in.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import httpx
import sqlalchemy as sa
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped] # it has no types
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from console.access.secrets import digest, new_secret
from console.errors import SingleSignOnError
from console.settings import LOOPBACK, SingleSignOn
from console.tables import sign_in_flows as table
from errors import SettingsError
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import timestamp

LASTS: Final = timedelta(minutes=10)
"""How long somebody may take at the provider."""
KEPT_SECONDS: Final = 3600.0
TIMEOUT: Final = 10.0
_ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
"""Signatures by a public key only: under the client's secret, or none, others could speak for the issuer."""
_LEEWAY: Final = 60
_LIMIT: Final = 1 << 20


class Provider:
    """The provider of the settings, with what it publishes about itself."""

    def __init__(self, settings: SingleSignOn, back: str) -> None:
        self._settings = settings
        self._back = back
        self._lock = threading.Lock()
        self._known: dict[str, Any] = {}
        self._at = -KEPT_SECONDS

    def begin(self, catalogue: Catalogue, target: str) -> tuple[str, str]:
        """Where to send the browser, and the state to bind to it (a cookie).

        Raises:
            SingleSignOnError: the provider cannot be reached or is not what it says.
        """
        endpoint = self._endpoint("authorization_endpoint")
        state, nonce, verifier = new_secret(), secrets.token_urlsafe(24), new_secret() + new_secret()
        now = datetime.now(UTC)
        with catalogue.write() as connection:
            connection.execute(table.delete().where(table.c.expires_at <= timestamp(now)))
            connection.execute(
                table.insert().values(
                    digest=digest(state),
                    nonce=nonce,
                    verifier=verifier,
                    target=target,
                    expires_at=timestamp(now + LASTS),
                )
            )
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._back,
            "scope": "openid",
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        return endpoint + ("&" if "?" in endpoint else "?") + urlencode(asked), state

    def finish(self, catalogue: Catalogue, state: str, code: str) -> tuple[str, str]:
        """The person (``sub``) that the provider vouches for, and where they wanted to go. A state is good once.

        Raises:
            SingleSignOnError: the state is unknown or old, or the provider's answer does not verify.
        """
        with catalogue.write() as connection:
            row = connection.execute(sa.select(table).where(table.c.digest == digest(state))).one_or_none()
            connection.execute(table.delete().where(table.c.digest == digest(state)))
        if row is None or row.expires_at <= timestamp():
            raise refused("the sign-in was not begun here, or took too long")
        answer = self._fetch(
            "POST",
            self._endpoint("token_endpoint"),
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self._back,
                "code_verifier": row.verifier,
            },
            auth=(self._settings.client_id, self._secret()),
        )
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise refused("it sent no id_token")
        return self._subject(token, row.nonce), str(row.target)

    def _subject(self, token: str, nonce: str) -> str:
        try:
            keys = KeySet.import_key_set(self._keys())
            claims = jwt.decode(token, keys, algorithms=_ALGORITHMS).claims
            jwt.JWTClaimsRegistry(
                leeway=_LEEWAY,
                iss={"essential": True, "value": self._settings.issuer},
                aud={"essential": True, "value": self._settings.client_id},
                exp={"essential": True},
                iat={"essential": True},
                sub={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise refused(f"its id_token does not verify ({type(error).__name__})") from error
        audience = claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != self._settings.client_id:
            raise refused("its id_token is for another client")
        subject = claims["sub"]
        if not isinstance(subject, str) or not 1 <= len(subject) <= 255:
            raise refused("its id_token names nobody")
        return subject

    def _keys(self) -> Any:
        return self._fetch("GET", self._endpoint("jwks_uri"))

    def _endpoint(self, name: str) -> str:
        with self._lock:
            if time.monotonic() - self._at > KEPT_SECONDS:
                found = self._fetch("GET", f"{self._settings.issuer}/.well-known/openid-configuration")
                if str(found.get("issuer", "")).rstrip("/") != self._settings.issuer:
                    raise refused("it names another issuer than the settings")
                self._known, self._at = found, time.monotonic()
            address = self._known.get(name)
        if not isinstance(address, str) or not _safe(address):
            raise refused(f"its {name} is no https address")
        return address

    def _secret(self) -> str:
        found = os.environ.get(self._settings.secret_variable, "")
        if not found:
            raise SettingsError(
                f"Single sign-on needs {self._settings.secret_variable}, which is not set.",
                cure=f"Set {self._settings.secret_variable} in the environment of `liucun serve`.",
            )
        return found

    @staticmethod
    def _fetch(method: str, address: str, **more: Any) -> dict[str, Any]:
        try:
            with (
                httpx.Client(timeout=TIMEOUT, follow_redirects=False) as client,
                client.stream(method, address, headers={"Accept": "application/json"}, **more) as answer,
            ):
                answer.raise_for_status()
                body = b""
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > _LIMIT:
                        raise refused("its answer is too long")
            found = httpx.Response(200, content=body).json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise refused(f"it does not answer as it should ({type(error).__name__})") from error
        if not isinstance(found, dict):
            raise refused("its answer is no object")
        return found


def _safe(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def refused(why: str) -> SingleSignOnError:
    """The provider's answer is not taken."""
    return SingleSignOnError(
        f"Single sign-on failed: {why}.", cure="Sign in again; if it goes on, ask a system administrator."
    )
