"""The follower over TLS, with an account or an API key: what is refused stops the index, never the archive.

TLS is spoken by a proxy of the test before the real server, whose certificate can then be changed while it runs. The
server's own TLS is tried by this and every other test of the index with ``LIUCUN_ELASTICSEARCH_TLS=1``.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from liucun.index_following import step
from liucun.store import open_store
from retention.search.errors import SearchRefusedError, SearchUnreachableError
from tests.certificates import DAY, Authority, speaks
from tests.services import servers
from tests.services.dropping_proxy import dropping_proxy
from tests.services.indexed import RECORDS, Indexed, within
from tests.services.test_search_faults import followed_by

pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]


@dataclass(frozen=True, slots=True)
class Door:
    """A store whose index is reached over TLS. ``trusted`` is the settings' ``ca_file``."""

    indexed: Indexed
    authority: Authority
    tls: ssl.SSLContext
    trusted: Path

    def trust(self, authority: Authority) -> None:
        self.trusted.write_bytes(authority.file.read_bytes())

    def step(self) -> None:
        with open_store(self.indexed.store, ()) as opened:
            step(opened)

    def follows(self, more: int = 0) -> None:
        """The index comes to hold every record once."""
        with followed_by(self.indexed) as followed:
            followed.step()
        assert self.indexed.agree() == RECORDS + more


@pytest.fixture
def door(copied: Indexed, tmp_path: Path) -> Iterator[Door]:
    folder = tmp_path / "certificates"
    folder.mkdir()
    authority = Authority.made(folder)
    tls, where = speaks(authority.issue("search")), urlsplit(copied.server.url)
    onward = ssl.create_default_context(cafile=copied.server.ca) if copied.server.ca else None
    with dropping_proxy(str(where.hostname), int(str(where.port)), tls, onward) as proxy:
        trusted = folder / "trusted.pem"
        if copied.server.ca:
            copied.settings(f'ca_file = "{copied.server.ca}"\n', "")
        copied.settings(copied.server.url, f"https://127.0.0.1:{proxy.port}")
        copied.settings("bulk_megabytes = 1\n", f'bulk_megabytes = 1\nca_file = "{trusted}"\n')
        made = Door(copied, authority, tls, trusted)
        made.trust(authority)
        yield made


def test_the_index_follows_over_tls(door: Door) -> None:
    door.follows()


def test_certificates_that_are_not_trusted_stop_the_index_and_not_the_archive(door: Door, tmp_path: Path) -> None:
    door.trust(Authority.made(tmp_path, "stranger"))
    with pytest.raises(SearchUnreachableError, match=r"is not trusted.*ca_file"):
        door.step()
    told = door.indexed.call("index", "reconcile")
    assert told.returncode == 8, told.stderr
    assert "ca_file" in told.stderr
    assert "Traceback" not in told.stderr
    door.indexed.say("four", ["再来一条"] * 10)
    assert door.indexed.take_in()["records"]["content"] == 10
    door.trust(door.authority)
    door.tls.load_cert_chain(door.authority.issue("old", valid=-DAY).both)
    with pytest.raises(SearchUnreachableError, match="certificate has expired"):
        door.step()
    assert door.indexed.documents() == []
    door.tls.load_cert_chain(door.authority.issue("new").both)
    door.follows(10)


def test_a_worker_catches_up_when_the_authority_is_put_right(door: Door, tmp_path: Path) -> None:
    door.trust(Authority.made(tmp_path, "stranger"))
    with door.indexed.worker() as worker:
        said = door.indexed.worker_said
        servers.wait_until("the worker said so", lambda: any(s["error"] for s in said()), 120)
        assert "is not trusted" in next(s["error"] for s in said() if s["error"])
        door.trust(door.authority)
        within("the index caught up", 300, lambda: door.indexed.count() == RECORDS)
        assert worker.poll() is None
    assert len([s for s in said() if s["error"]]) == 1, "a fault that lasts is said once"


def test_a_password_in_a_file_that_is_refused_and_then_right(door: Door, tmp_path: Path) -> None:
    indexed, file = door.indexed, tmp_path / "password"
    user = f'user = "{indexed.server.user}"\n'
    indexed.settings(user, f'{user}password_file = "{file}"\n')
    file.write_text("not this one\n", encoding="utf-8")
    _refused(door, "not this one")
    file.write_text(f"{indexed.server.password}\n", encoding="utf-8")
    door.follows()


@pytest.mark.parametrize("kind", ["api_key_file", "api_key_variable"])
def test_an_api_key_that_is_refused(door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """One that is taken is tried with a stand-in only: the distribution that runs here can make none."""
    indexed, wrong = door.indexed, base64.b64encode(b"no-such-id:no-such-key").decode()
    (tmp_path / "key").write_text(f"{wrong}\n", encoding="utf-8")
    monkeypatch.setenv("LIUCUN_KEY_OF_TESTS", wrong)
    indexed.env["LIUCUN_KEY_OF_TESTS"] = wrong
    user = f'user = "{indexed.server.user}"\n'
    key = f'{kind} = "{tmp_path / "key" if kind == "api_key_file" else "LIUCUN_KEY_OF_TESTS"}"\n'
    indexed.settings(user, key)
    _refused(door, wrong)
    indexed.settings(key, user)
    door.follows()


def _refused(door: Door, secret: str) -> None:
    """The cluster refuses, which is said without the secret; the archive goes on."""
    with pytest.raises(SearchRefusedError, match="refuses") as told:
        door.step()
    assert secret not in str(told.value)
    command = door.indexed.call("index", "reconcile")
    assert command.returncode == 9, command.stderr
    assert "Traceback" not in command.stderr
    assert secret not in command.stderr
