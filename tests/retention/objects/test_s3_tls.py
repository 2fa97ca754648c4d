"""An S3 server whose TLS is not as it should be: said in full, before or in the handshake."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from errors import SettingsError, UnreachableError
from retention.objects.s3 import S3Objects
from retention.objects.s3_settings import S3Settings
from tests.certificates import DAY, Authority, speaks
from tests.services.dropping_proxy import DroppingProxy, dropping_proxy


@dataclass(frozen=True, slots=True)
class Door:
    """TLS before a server that says nothing."""

    proxy: DroppingProxy
    authority: Authority

    def put(self, ca: Path, port: int | None = None) -> None:
        settings = S3Settings(
            endpoint=f"https://127.0.0.1:{port or self.proxy.port}",
            addressing="path",
            ca_file=str(ca),
            retry_seconds=0,
            connect_seconds=2,
            read_seconds=2,
        )
        objects = S3Objects("s3://bucket/x", settings)
        try:
            objects.put("one", b"1")
        finally:
            objects.close()


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "of-tests")
    authority = Authority.made(tmp_path)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        dropping_proxy("127.0.0.1", silent.getsockname()[1], speaks(authority.issue("s3"))) as proxy,
    ):
        yield Door(proxy, authority)


def test_an_authority_that_is_another(door: Door, tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match=r"not trusted: .*issuer.*\[archive.s3\] ca_file") as told:
        door.put(Authority.made(tmp_path, "stranger").file)
    assert told.value.exit_code == 8


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"valid": -DAY}, r"not valid now: certificate has expired.*renewed"),
        ({"host": "127.0.0.9"}, r"of another name: .*127\.0\.0\.9.*\[archive\.s3\] endpoint"),
    ],
)
def test_a_certificate_that_does_not_do(door: Door, given: dict, told: str) -> None:
    assert door.proxy.tls is not None
    door.proxy.tls.load_cert_chain(door.authority.issue("changed", **given).both)
    with pytest.raises(UnreachableError, match=told):
        door.put(door.authority.file)


def test_a_server_that_speaks_no_tls(door: Door) -> None:
    def answer(plain: socket.socket) -> None:
        client, _ = plain.accept()
        with client:
            client.recv(1 << 16)
            client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as plain:
        helper = threading.Thread(target=answer, args=(plain,))
        helper.start()
        with pytest.raises(UnreachableError, match=r"does not speak TLS there.*http://"):
            door.put(door.authority.file, plain.getsockname()[1])
        helper.join()


def test_a_file_of_no_use_is_said_when_the_store_is_opened(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no certificate", encoding="utf-8")
    for path, told in (
        (tmp_path / "nowhere", "cannot be read"),
        (tmp_path / "text", "holds no certificate"),
        (Authority.made(tmp_path, "old", valid=-DAY).file, "expired on"),
    ):
        with pytest.raises(SettingsError, match=f"ca_file of the object store: .*{told}"):
            S3Objects("s3://bucket/x", S3Settings(endpoint="https://127.0.0.1:9", ca_file=str(path)))
