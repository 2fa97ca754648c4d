"""Sign-in through a small OpenID provider on loopback: the way there and back, and every lie it might tell."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest
import uvicorn
from fastapi import FastAPI, Form, Request
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.responses import JSONResponse

from console.access.accounts import account_by, set_sso_subject
from console.settings import ConsoleSettings, SingleSignOn
from tests.console.running import running

KEY, OTHER_KEY = RSAKey.generate_key(2048, {"kid": "one"}), RSAKey.generate_key(2048, {"kid": "one"})
CLIENT, SECRET = "liucun", "client-secret"


class Provider:
    """Says what a test wants it to say."""

    def __init__(self) -> None:
        self.claims: dict[str, object] = {}
        self.key, self.algorithm = KEY, "RS256"
        self.asked: dict[str, dict[str, str]] = {}
        self.url = ""

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/.well-known/openid-configuration")
        def configuration() -> dict[str, str]:
            return {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
            }

        @app.get("/keys")
        def keys() -> dict[str, object]:
            return {"keys": [KEY.as_dict(private=False)]}

        @app.post("/token")
        def token(request: Request, code: str = Form(), code_verifier: str = Form()) -> JSONResponse:
            expected = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
            asked = self.asked.pop(code, None)
            challenge = base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).rstrip(b"=").decode()
            if request.headers.get("authorization") != f"Basic {expected}" or asked is None:
                return JSONResponse({"error": "invalid_grant"}, status_code=400)
            if asked["code_challenge"] != challenge:
                return JSONResponse({"error": "invalid_grant"}, status_code=400)
            now = int(time.time())
            claims = {
                "iss": self.url,
                "aud": CLIENT,
                "sub": "person-1",
                "iat": now,
                "exp": now + 60,
                "nonce": asked["nonce"],
            }
            claims = {k: v for k, v in (claims | self.claims).items() if v is not None}
            header = {"alg": self.algorithm, "kid": "one"}
            return JSONResponse({"id_token": jwt.encode(header, claims, self.key, algorithms=[self.algorithm])})

        return app

    def approve(self, address: str) -> tuple[str, str]:
        """What the provider's page does after the person signed in there: a code for the request."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["code_challenge_method"] == "S256"
        self.asked["the-code"] = asked
        return "the-code", asked["state"]


@pytest.fixture(scope="module")
def provider():
    found = Provider()
    server = uvicorn.Server(uvicorn.Config(found.app(), host="127.0.0.1", port=0, log_level="error"))
    opened = server.config.bind_socket()
    found.url = f"http://127.0.0.1:{opened.getsockname()[1]}"
    thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True)
    thread.start()
    yield found
    server.should_exit = True
    thread.join(10)
    opened.close()


@pytest.fixture(scope="module")
def single(console, provider):
    settings = ConsoleSettings(base_url="http://127.0.0.1", oidc=SingleSignOn(issuer=provider.url, client_id=CLIENT))
    with console.parts.catalogue.read() as connection:
        admin = account_by(connection, name="sysadmin")
    set_sso_subject(console.parts.catalogue, by=admin, name="reviewer", subject="person-1")
    with running(console.parts, settings=settings) as found:
        yield found


@pytest.fixture(autouse=True)
def honest(provider, monkeypatch):
    monkeypatch.setenv("LIUCUN_OIDC_SECRET", SECRET)
    provider.claims, provider.key, provider.algorithm = {}, KEY, "RS256"


def there(single):
    visitor = single.visitor()
    answer = visitor.get("/sign-in/sso?target=/queue")
    assert answer.status_code == 303
    return visitor, answer.headers["location"]


def test_there_and_back(single, provider) -> None:
    assert "单点登录" in single.visitor().get("/sign-in").text
    visitor, address = there(single)
    code, state = provider.approve(address)
    answer = visitor.get(f"/sign-in/sso/back?code={code}&state={state}")
    assert answer.headers["location"] == "/queue"
    assert visitor.get("/queue").status_code == 200
    assert visitor.get(f"/sign-in/sso/back?code={code}&state={state}").status_code == 401, "a state is good once"


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "somebody-else"},
        {"aud": [CLIENT, "other"]},
        {"iss": "https://elsewhere.example"},
        {"exp": 1},
        {"exp": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": None},
        {"sub": "stranger"},
        {"iat": 99999999999},
    ],
)
def test_claims_that_do_not_fit_are_refused(single, provider, claims) -> None:
    provider.claims = claims
    visitor, address = there(single)
    code, state = provider.approve(address)
    assert visitor.get(f"/sign-in/sso/back?code={code}&state={state}").status_code == 401
    assert visitor.get("/queue").status_code == 401


def test_another_key_or_no_signature_is_refused(single, provider) -> None:
    provider.key = OTHER_KEY
    visitor, address = there(single)
    code, state = provider.approve(address)
    assert visitor.get(f"/sign-in/sso/back?code={code}&state={state}").status_code == 401


def test_a_state_is_bound_to_the_browser_that_began(single, provider) -> None:
    _, address = there(single)
    code, state = provider.approve(address)
    victim = single.visitor()
    assert victim.get(f"/sign-in/sso/back?code={code}&state={state}").status_code == 401
    for query in ("", "?code=x", "?error=access_denied", "?code=x&state=guess"):
        assert victim.get(f"/sign-in/sso/back{query}").status_code == 401


def test_without_a_provider_there_is_no_such_page(console) -> None:
    assert console.visitor().get("/sign-in/sso").status_code == 404


@pytest.mark.parametrize("issuer", ["http://idp.example", "ftp://x.example", "nonsense"])
def test_a_provider_in_the_clear_is_no_setting(issuer: str) -> None:
    with pytest.raises(ValueError, match="issuer"):
        SingleSignOn(issuer=issuer, client_id="x")
