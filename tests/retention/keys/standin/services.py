"""Stand-ins of key services over HTTP on loopback, for tests alone: Tencent Cloud KMS and Vault's transit engine.

The first checks TC3-HMAC-SHA256 signatures as Tencent Cloud's manual describes them, written from the
manual and not from the SDK. Both keep their master key in memory and seal with AES-256-GCM.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SECRET_ID, SECRET_KEY = "AKIDtest", "a secret of the tests"
KEY_ID, REGION = "c5cb6b1e-0000-11ee-8888-525400f00000", "ap-shanghai"


class Service:
    """What a stand-in shares with its handler; tests set ``answer`` to have a fixed (status, body) instead."""

    def __init__(self) -> None:
        self.master = AESGCM(secrets.token_bytes(32))
        self.answer: tuple[int, bytes] | None = None
        self.failures: list[str] = []
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.address = ""

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        nonce = secrets.token_bytes(12)
        return nonce + self.master.encrypt(nonce, plaintext, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        return self.master.decrypt(sealed[:12], sealed[12:], context)


class TencentHandler(BaseHTTPRequestHandler):
    service: Service

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        action = self.headers["X-TC-Action"]
        self.service.requests.append((action, json.loads(body)))
        if self.service.answer is not None:
            status, fixed = self.service.answer
            self._send(status, fixed)
            return
        try:
            found: dict[str, Any] = self._act(action, json.loads(body), body)
        except Refused as refused:
            found = {"Error": {"Code": refused.code, "Message": "refused by the stand-in"}}
        self._send(200, json.dumps({"Response": {**found, "RequestId": secrets.token_hex(8)}}).encode())

    def _act(self, action: str, request: dict[str, Any], body: bytes) -> dict[str, Any]:
        check_tc3(dict(self.headers.items()), body)
        if self.service.failures:
            raise Refused(self.service.failures.pop(0))
        if self.headers["X-TC-Version"] != "2019-01-18" or self.headers["X-TC-Region"] != REGION:
            raise Refused("InvalidParameter")
        context = request["EncryptionContext"].encode()
        assert isinstance(json.loads(context), dict)
        if action == "Encrypt":
            if request["KeyId"] != KEY_ID:
                raise Refused("ResourceUnavailable.CmkNotFound")
            sealed = self.service.seal(base64.b64decode(request["Plaintext"]), context)
            return {"KeyId": KEY_ID, "CiphertextBlob": base64.b64encode(sealed).decode()}
        assert action == "Decrypt"
        try:
            sealed = base64.b64decode(request["CiphertextBlob"], validate=True)
        except ValueError:
            raise Refused("InvalidParameterValue.InvalidCiphertext") from None
        try:
            opened = self.service.open(sealed, context)
        except (InvalidTag, ValueError):
            raise Refused("FailedOperation.DecryptError") from None
        return {"KeyId": KEY_ID, "Plaintext": base64.b64encode(opened).decode()}

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class Refused(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def check_tc3(headers: dict[str, str], body: bytes) -> None:
    """Raise ``Refused`` unless the request is signed as Tencent Cloud's API signature v3 has it."""
    headers = {name.lower(): value for name, value in headers.items()}
    algorithm, _, rest = headers["authorization"].partition(" ")
    parts = dict(item.strip().split("=", 1) for item in rest.split(","))
    stamp = int(headers["x-tc-timestamp"])
    if algorithm != "TC3-HMAC-SHA256" or abs(time.time() - stamp) > 300:
        raise Refused("AuthFailure.SignatureExpire")
    identity, date, service, last = parts["Credential"].split("/")
    day = datetime.fromtimestamp(stamp, UTC).strftime("%Y-%m-%d")
    if identity != SECRET_ID:
        raise Refused("AuthFailure.SecretIdNotFound")
    if (date, service, last) != (day, "kms", "tc3_request"):
        raise Refused("AuthFailure.SignatureFailure")
    signed = parts["SignedHeaders"].split(";")
    assert {"content-type", "host"} <= set(signed)
    lines = "".join(f"{name}:{headers[name].strip().lower()}\n" for name in signed)
    canonical = "\n".join(("POST", "/", "", lines, ";".join(signed), hashlib.sha256(body).hexdigest()))
    scope = f"{date}/kms/tc3_request"
    to_sign = "\n".join((algorithm, str(stamp), scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"TC3{SECRET_KEY}".encode()
    for step in (date, "kms", "tc3_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    if not hmac.compare_digest(hmac.digest(key, to_sign.encode(), "sha256").hex(), parts["Signature"]):
        raise Refused("AuthFailure.SignatureFailure")


class VaultHandler(BaseHTTPRequestHandler):
    service: Service

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        self.service.requests.append((self.path, request))
        if self.service.answer is not None:
            self._send(*self.service.answer)
        elif self.headers["X-Vault-Token"] != "a token of the tests":
            self._errors(403, "permission denied")
        elif self.path == "/v1/transit/keys/liucun/rotate":
            self._send(204, b"")
        elif self.path not in {"/v1/transit/encrypt/liucun", "/v1/transit/decrypt/liucun"}:
            self._errors(404)
        else:
            self._crypt(request)

    def _crypt(self, request: dict[str, str]) -> None:
        context = base64.b64decode(request["associated_data"])
        if "encrypt" in self.path:
            sealed = base64.b64encode(self.service.seal(base64.b64decode(request["plaintext"]), context)).decode()
            self._send(200, json.dumps({"data": {"ciphertext": f"vault:v1:{sealed}", "key_version": 1}}).encode())
            return
        try:
            prefix, version, sealed = request["ciphertext"].split(":")
            assert (prefix, version) == ("vault", "v1")
            opened = self.service.open(base64.b64decode(sealed, validate=True), context)
        except (InvalidTag, ValueError, AssertionError):
            self._errors(400, "cipher: message authentication failed")
            return
        self._send(200, json.dumps({"data": {"plaintext": base64.b64encode(opened).decode()}}).encode())

    def _errors(self, status: int, *errors: str) -> None:
        self._send(status, json.dumps({"errors": errors}).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def running(handler: type[BaseHTTPRequestHandler]) -> Iterator[Service]:
    """A stand-in on a free port of loopback."""
    service = Service()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), {"service": service}))
    service.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
