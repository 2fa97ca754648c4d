"""Fixtures that any test may use to run on a real server beside the embedded default.

``catalogue_url`` runs a test twice: on SQLite, and, marked ``services``, on PostgreSQL.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from retention.catalogue.engine import Catalogue
from retention.catalogue.migrate import migrate
from retention.objects.s3 import S3Objects
from retention.objects.s3_settings import S3Settings
from tests.services import servers
from tests.services.indexed import EACH, FILES, NAMES, RECORDS, Indexed, Server, environment


@pytest.fixture(scope="session")
def postgres_admin() -> str:
    """URL of the running PostgreSQL's administrator."""
    return servers.need("postgres", "LIUCUN_TEST_POSTGRES")[0]


@pytest.fixture
def postgres_url(postgres_admin: str) -> Iterator[str]:
    """URL of an empty PostgreSQL database."""
    with servers.database(postgres_admin) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def catalogue_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database on each engine in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'catalogue.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def bare_catalogue(catalogue_url: str) -> Iterator[Catalogue]:
    """A catalogue with the archive's own tables and nothing in it, on each engine in turn."""
    opened = Catalogue.open(catalogue_url)
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def s3_server() -> tuple[str, str, str]:
    """Endpoint, access key and secret key of the running S3 server."""
    endpoint, key, secret = servers.need(
        "s3", "LIUCUN_TEST_S3_ENDPOINT", "LIUCUN_TEST_S3_ACCESS_KEY", "LIUCUN_TEST_S3_SECRET_KEY"
    )
    return endpoint, key, secret


@pytest.fixture
def s3_settings(s3_server: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch) -> S3Settings:
    """Settings that reach the server; the credentials stand in the environment."""
    for name, value in servers.s3_environment(s3_server).items():
        monkeypatch.setenv(name, value)
    return S3Settings(endpoint=s3_server[0], addressing="path", retry_seconds=10)


@pytest.fixture(scope="session")
def s3_bucket(s3_server: tuple[str, str, str]) -> str:
    """A new bucket with versions and object lock. It stays: what is locked in it cannot be deleted."""
    import boto3

    name = f"test-{secrets.token_hex(6)}"
    client = boto3.client(
        "s3",
        endpoint_url=s3_server[0],
        aws_access_key_id=s3_server[1],
        aws_secret_access_key=s3_server[2],
        region_name="us-east-1",
    )
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    client.close()
    return name


@pytest.fixture
def s3_url(s3_bucket: str) -> str:
    """A place in the bucket that no other test uses."""
    return f"s3://{s3_bucket}/{secrets.token_hex(6)}"


@pytest.fixture
def s3_objects(s3_url: str, s3_settings: S3Settings) -> Iterator[S3Objects]:
    """An empty place on the S3 server."""
    objects = S3Objects(s3_url, s3_settings)
    yield objects
    objects.close()


@pytest.fixture(scope="session")
def search_server() -> Server:
    """The running Elasticsearch."""
    return Server.running()


@pytest.fixture
def indexed(tmp_path: Path, search_server: Server) -> Iterator[Indexed]:
    """A folder for a store, and names on the server that no other test uses."""
    made = Indexed(tmp_path, search_server, f"t{secrets.token_hex(6)}", environment(search_server.password))
    yield made
    made.clean()


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of some segments that nothing follows yet."""
    made = Indexed(tmp_path_factory.mktemp("sealed"), Server("", "", ""), "", environment("none"))
    (made.folder / "settings.toml").write_text("format = 1\n[run]\nbatch_megabytes = 1\n", encoding="utf-8")
    made.fine("init", "--settings", str(made.folder / "settings.toml"))
    for name in NAMES:
        made.say(name, [f"{name} 第{n}条 " + "今天的绿茶很香," * 40 for n in range(EACH)])
    taken = made.take_in()
    assert taken["records"]["content"] == RECORDS
    assert taken["segments"] >= FILES
    return made.folder


@pytest.fixture
def copied(indexed: Indexed, sealed: Path, monkeypatch: pytest.MonkeyPatch) -> Indexed:
    """A copy of the store with an index, for commands."""
    # Without the files, which are taken in already: under another path they would be new ones.
    shutil.copytree(sealed, indexed.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("in"))
    with (indexed.store / "liucun.toml").open("a", encoding="utf-8") as file:
        file.write(indexed.section())
    for name in ("LIUCUN_PASSPHRASE", "LIUCUN_SEARCH_PASSWORD"):
        monkeypatch.setenv(name, indexed.env[name])
    return indexed
