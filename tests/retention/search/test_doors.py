"""How the cluster is reached: TLS, accounts, API keys; what is wrong is said, and nothing secret is."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from errors import SettingsError
from retention.search.cluster import Cluster
from retention.search.errors import SearchUnreachableError
from retention.search.settings import SearchSettings
from tests.certificates import DAY, Authority, speaks
from tests.retention.search.standin import StandIn
from tests.services.dropping_proxy import dropping_proxy

HTTPS = ("https://search:9200",)


@pytest.mark.parametrize(
    "given",
    [
        {"urls": ("https://u:secret@search:9200",)},
        {"urls": ("http://secret@search:9200/x",)},
        {"urls": ("search:9200",)},
        {"urls": HTTPS, "user": "u", "api_key_variable": "A"},
        {"urls": HTTPS, "user": "u", "api_key_file": "f"},
        {"urls": HTTPS, "api_key_variable": "A", "api_key_file": "f"},
        {"urls": HTTPS, "password_file": "f"},
        {"urls": HTTPS, "user": "u", "password_file": "f", "password_variable": "A"},
        {"urls": ("http://search:9200",), "ca_file": "ca.pem"},
    ],
)
def test_settings_that_do_not_fit_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        SearchSettings(**given)


def test_secrets_come_from_where_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret"
    file.write_text("Zm9vOmJhcg==\r\n", encoding="utf-8")
    monkeypatch.setenv("LIUCUN_SEARCH_PASSWORD", "密码")
    monkeypatch.setenv("KEY_OF_TESTS", "a2V5OmtleQ==")
    assert SearchSettings(urls=HTTPS, user="u").login() == {"basic_auth": "dTrlr4bnoIE="}
    assert SearchSettings(urls=HTTPS, user="u", password_file=str(file)).login()["basic_auth"] == "dTpabTl2T21KaGNnPT0="
    assert SearchSettings(urls=HTTPS, api_key_variable="KEY_OF_TESTS").login() == {"api_key": "a2V5OmtleQ=="}
    assert SearchSettings(urls=HTTPS, api_key_file=str(file)).login() == {"api_key": "Zm9vOmJhcg=="}
    assert SearchSettings(urls=HTTPS).login() == {}


@pytest.mark.parametrize("content", [b"", b"\nhush-hush\n", b"\xff\xfe", b"hush-hush" * 20_000, None])
@pytest.mark.parametrize("which", ["password_file", "api_key_file"])
def test_files_of_secrets_that_cannot_be_used(tmp_path: Path, content: bytes | None, which: str) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    user = "u" if which == "password_file" else ""
    with pytest.raises(SettingsError, match=r"\[search\]: the file .*file, which holds the ") as told:
        SearchSettings.model_validate({"urls": HTTPS, "user": user, which: str(file)}).login()
    assert "hush-hush" not in str(told.value)


@pytest.mark.parametrize("key", ["密钥", "two words", "line\x0bfeed", "a\x00b"])
def test_what_cannot_be_an_api_key(tmp_path: Path, key: str) -> None:
    (tmp_path / "key").write_text(key, encoding="utf-8")
    with pytest.raises(SettingsError, match="cannot be one") as told:
        SearchSettings(urls=HTTPS, api_key_file=str(tmp_path / "key")).login()
    assert key not in str(told.value)


@dataclass(frozen=True, slots=True)
class Door:
    """The stand-in behind TLS."""

    url: str
    authority: Authority
    tls: ssl.SSLContext

    def ask(self, ca: Path | None = None, url: str = "", **login: str) -> Any:
        trusted = str(ca or self.authority.file)
        cluster = Cluster(SearchSettings(urls=(url or self.url,), ca_file=trusted, **login), patience=0)
        try:
            return cluster.ask("GET", "/_index_template/none", absent=True)
        finally:
            cluster.close()


@pytest.fixture
def door(server: StandIn, tmp_path: Path) -> Iterator[Door]:
    authority = Authority.made(tmp_path)
    tls, where = speaks(authority.issue("search")), urlsplit(server.url)
    with dropping_proxy(str(where.hostname), int(str(where.port)), tls) as proxy:
        yield Door(f"https://127.0.0.1:{proxy.port}", authority, tls)


def test_a_cluster_whose_authority_is_known(door: Door) -> None:
    assert door.ask() is None


def test_who_logs_in(door: Door, server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUCUN_SEARCH_PASSWORD", "密码")
    (tmp_path / "key").write_text("a2V5OmtleQ==\n", encoding="utf-8")
    door.ask(user="u")
    door.ask(api_key_file=str(tmp_path / "key"))
    assert server.logins == {"Basic dTrlr4bnoIE=", "ApiKey a2V5OmtleQ=="}


def test_certificates_that_are_not_trusted(door: Door, tmp_path: Path) -> None:
    strangers = Authority.made(tmp_path, "stranger")
    with pytest.raises(SearchUnreachableError, match=r"is not trusted: .*issuer.*\[search\] ca_file") as told:
        door.ask(strangers.file)
    assert told.value.exit_code == 8
    door.tls.load_cert_chain(door.authority.issue("old", valid=-DAY).both)
    with pytest.raises(SearchUnreachableError, match=r"not valid now: certificate has expired.*renewed"):
        door.ask()
    door.tls.load_cert_chain(door.authority.issue("other", host="127.0.0.9").both)
    with pytest.raises(SearchUnreachableError, match=r"of another name: .*127.0.0.9.*as its certificate does"):
        door.ask()
    door.tls.load_cert_chain(door.authority.issue("search").both)
    assert door.ask() is None


def test_what_speaks_no_tls(door: Door, server: StandIn) -> None:
    with pytest.raises(SearchUnreachableError, match="does not speak TLS there"):
        door.ask(url=server.url.replace("http:", "https:"))


def test_an_authority_of_no_use_is_said_before_the_cluster_is_asked(door: Door, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"\[search\] ca_file: .* cannot be read"):
        door.ask(tmp_path / "nowhere")
    with pytest.raises(SettingsError, match=r"\[search\] ca_file: .* expired on"):
        door.ask(Authority.made(tmp_path, "old", valid=-DAY).file)
    (tmp_path / "text").write_text("no certificate", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"\[search\] ca_file: .* holds no certificate"):
        door.ask(tmp_path / "text")
