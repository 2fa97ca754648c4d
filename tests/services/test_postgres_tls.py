"""The catalogue over TLS, with a password and with a client certificate, on a PostgreSQL of the tests' own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from errors import LiucunError, NotPermittedError, SettingsError, UnreachableError
from liucun.doctor_places import database_facts
from retention.catalogue.engine import Catalogue
from tests.certificates import DAY, Authority, Identity
from tests.services.servers import SCRIPTS

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]
ROLE = "certified"


@dataclass(frozen=True, slots=True)
class Server:
    """The running server, its data, who signs its certificate and who its clients'."""

    url: sa.URL
    data: Path
    authority: Authority
    clients: Authority

    def put(self, source: Path, name: str) -> None:
        """A file among the server's own."""
        owner, target = self.data.stat(), self.data / name
        shutil.copyfile(source, target)
        target.chmod(0o600)
        os.chown(target, owner.st_uid, owner.st_gid)

    def show(self, identity: Identity) -> None:
        """Let it show this certificate from now on."""
        self.put(identity.certificate, "tls.pem")
        self.put(identity.key, "tls-key.pem")
        self.run("ALTER SYSTEM SET ssl = on")
        self.reload()

    def run(self, *statements: str) -> None:
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()

    def reload(self) -> None:
        self.run("SELECT pg_reload_conf()")
        time.sleep(0.5)

    def reached(self, user: str | None = None, **query: object) -> list[str]:
        """What ``liucun doctor`` says of the server that a URL with these options leads to."""
        url = self.url.set(query={name: str(value) for name, value in query.items()})
        if user is not None:
            url = url._replace(username=user, password=None)
        catalogue = Catalogue.open(url.render_as_string(hide_password=False))
        try:
            return [seen for _, seen, _ in database_facts(catalogue)]
        finally:
            catalogue.close()

    def verified(self, **query: object) -> dict[str, object]:
        return {"sslmode": "verify-full", "sslrootcert": self.authority.file, **query}

    def certified(self, identity: Identity, mode: int = 0o600) -> dict[str, object]:
        identity.key.chmod(mode)
        return self.verified(sslcert=identity.certificate, sslkey=identity.key)


@contextmanager
def started(folder: Path) -> Iterator[sa.URL]:
    """A server whose files lie there."""
    script = [str(SCRIPTS / "postgres.sh")]
    environment = {**os.environ, "LIUCUN_SERVICES": str(folder)}
    begun = subprocess.run([*script, "start"], env=environment, capture_output=True, text=True, check=False)
    assert begun.returncode == 0, begun.stdout + begun.stderr
    try:
        yield sa.make_url((folder / "postgres" / "env").read_text(encoding="utf-8").strip().partition("=")[2])
    finally:
        subprocess.run([*script, "stop"], env=environment, capture_output=True, check=True)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    if not (list(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or shutil.which("initdb")):
        pytest.skip("PostgreSQL is not installed: `make services`")
    # Beside pytest's own folders, which the server's account cannot look into.
    with tempfile.TemporaryDirectory(prefix="liucun-tls-") as made:
        folder = Path(made)
        folder.chmod(0o711)
        certificates = folder / "certificates"
        certificates.mkdir()
        with started(folder) as url:
            signers = (Authority.made(certificates), Authority.made(certificates, "clients"))
            running = Server(url, folder / "postgres" / "data", *signers)
            with pytest.raises(UnreachableError, match="does not support SSL"):
                running.reached(**running.verified())
            running.put(running.clients.file, "clients.pem")
            rules = running.data / "pg_hba.conf"
            rules.write_text(f"hostssl all {ROLE} 127.0.0.1/32 cert\n{rules.read_text()}", encoding="utf-8")
            files = {"ssl_cert_file": "tls.pem", "ssl_key_file": "tls-key.pem", "ssl_ca_file": "clients.pem"}
            sets = [f"ALTER SYSTEM SET {name} = '{value}'" for name, value in files.items()]
            running.run(f"CREATE ROLE {ROLE} LOGIN", *sets)
            yield running


@pytest.fixture
def shown(server: Server) -> Server:
    server.show(server.authority.issue("postgres"))
    return server


def test_the_catalogue_is_reached_over_tls_and_doctor_says_so(shown: Server) -> None:
    (said, *others) = shown.reached(**shown.verified())
    assert said.endswith("TLS on")
    assert others == []


def test_an_authority_that_is_another(shown: Server, tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match=r"is not trusted.*sslrootcert") as told:
        shown.reached(**shown.verified(sslrootcert=Authority.made(tmp_path, "stranger").file))
    assert told.value.exit_code == 8


@pytest.mark.parametrize(
    ("given", "told"),
    [({"valid": -DAY}, r"certificate verify failed.*expired"), ({"host": "127.0.0.9"}, r"does not match host name")],
)
def test_a_certificate_that_does_not_do(server: Server, given: dict, told: str) -> None:
    server.show(server.authority.issue("changed", **given))
    with pytest.raises(UnreachableError, match=told):
        server.reached(**server.verified())


def test_files_and_options_of_no_use(shown: Server, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no certificate", encoding="utf-8")
    one, other, open_ = (shown.clients.issue(name) for name in (ROLE, "other", "open"))
    wrong: list[dict[str, object]] = [
        shown.verified(sslrootcert=tmp_path / "nowhere"),
        shown.verified(sslrootcert=tmp_path / "text"),
        shown.verified(sslmode="very-full"),
        shown.certified(open_, mode=0o644),
        {**shown.certified(one), "sslkey": tmp_path / "nowhere"},
        {**shown.certified(one), "sslkey": shown.certified(other)["sslkey"]},
        {**shown.certified(one), "sslcert": tmp_path / "text"},
    ]
    for query in wrong:
        with pytest.raises(SettingsError, match="over TLS") as told:
            shown.reached(user=ROLE, **query)
        assert str(shown.url.password) not in str(told.value)


def test_a_client_certificate_instead_of_a_password(shown: Server) -> None:
    assert shown.reached(user=ROLE, **shown.certified(shown.clients.issue(ROLE)))[0].endswith("TLS on")


@pytest.mark.parametrize("which", ["none", "stranger", "expired", "of another user"])
def test_client_certificates_that_are_refused(shown: Server, which: str, tmp_path: Path) -> None:
    query = {
        "none": shown.verified,
        "stranger": lambda: shown.certified(Authority.made(tmp_path, "stranger").issue(ROLE)),
        "expired": lambda: shown.certified(shown.clients.issue("old", valid=-DAY)),
        "of another user": lambda: shown.certified(shown.clients.issue("somebody")),
    }[which]()
    with pytest.raises(LiucunError, match="refuses this client's certificate") as told:
        shown.reached(user=ROLE, **query)
    assert type(told.value) is NotPermittedError
