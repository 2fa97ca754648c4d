"""The Kafka source on a real broker that asks its clients for a certificate (mutual TLS)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from errors import NotPermittedError, SettingsError, UnreachableError
from pipelines.sources import kafka_reading
from retention.store import Store
from tests.certificates import DAY, Authority, Identity
from tests.services import servers
from tests.services.test_kafka import Topic, faults, run

pytestmark = pytest.mark.services


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Whose clients the broker lets in."""
    own = ("LIUCUN_TEST_KAFKA_CLIENT_CA", "LIUCUN_TEST_KAFKA_CLIENT_CA_KEY")
    certificate, key = servers.need("kafka", *own)
    return Authority.of(tmp_path, Path(certificate), Path(key))


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Iterator[Topic]:
    """With messages, written past the listener that is tried."""
    made = Topic(servers.need("kafka", "LIUCUN_TEST_KAFKA")[0])
    made.write(40)
    monkeypatch.setattr(kafka_reading, "ANSWER_SECONDS", 5.0)
    yield made
    made.delete()


@pytest.fixture
def listener() -> dict[str, object]:
    """The settings that lead there, without the client's own certificate."""
    address, vouches = servers.need("kafka", "LIUCUN_TEST_KAFKA_MUTUAL", "LIUCUN_TEST_KAFKA_CA")
    return {"brokers": [address], "security": "tls", "ca_file": vouches}


def named(identity: Identity) -> dict[str, object]:
    return {"certificate_file": str(identity.certificate), "key_file": str(identity.key)}


def test_a_certificate_opens_the_door(
    store: Store, topic: Topic, listener: dict[str, object], authority: Authority
) -> None:
    summary, problems = run(store, topic, **listener, **named(authority.issue("liucun")))
    assert (summary.records_in, problems) == (40, [])
    assert faults(store) == []


@pytest.mark.parametrize("given", ["file", "env"])
def test_a_sealed_key_is_opened_by_its_password(
    store: Store,
    topic: Topic,
    listener: dict[str, object],
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: str,
) -> None:
    monkeypatch.setenv("KEY_PASSWORD_OF_TESTS", "of the key")
    (tmp_path / "password").write_text("of the key\n", encoding="utf-8")
    where = {"file": str(tmp_path / "password"), "env": "KEY_PASSWORD_OF_TESTS"}[given]
    sealed = named(authority.issue("liucun", password="of the key"))
    assert run(store, topic, **listener, **sealed, **{f"key_password_{given}": where})[0].records_in == 40


def test_who_shows_no_certificate_is_refused(store: Store, topic: Topic, listener: dict[str, object]) -> None:
    with pytest.raises(NotPermittedError, match="refuse this client's certificate, or it gave none") as told:
        run(store, topic, **listener)
    assert told.value.exit_code == 9


def test_a_certificate_of_another_authority_is_refused(
    store: Store, topic: Topic, listener: dict[str, object], tmp_path: Path
) -> None:
    stranger = Authority.made(tmp_path, "stranger").issue("liucun")
    with pytest.raises(NotPermittedError, match="refuse this client's certificate"):
        run(store, topic, **listener, **named(stranger))


def test_an_expired_certificate_is_said_before_the_brokers_are_asked(
    store: Store, topic: Topic, listener: dict[str, object], authority: Authority
) -> None:
    with pytest.raises(SettingsError, match=r"certificate_file: .* expired on"):
        run(store, topic, **listener, **named(authority.issue("liucun", valid=-DAY)))


def test_one_that_expired_where_this_clock_is_slow_is_refused_by_the_brokers(
    store: Store, topic: Topic, listener: dict[str, object], authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retention.tls_files._in_time", lambda *_: None)
    with pytest.raises(NotPermittedError, match="refuse this client's certificate"):
        run(store, topic, **listener, **named(authority.issue("liucun", valid=-DAY)))


def test_brokers_of_an_unknown_authority_get_no_certificate_shown(
    store: Store, topic: Topic, listener: dict[str, object], authority: Authority, tmp_path: Path
) -> None:
    unknown = str(Authority.made(tmp_path, "unknown").file)
    with pytest.raises(UnreachableError, match="is not trusted"):
        run(store, topic, **{**listener, "ca_file": unknown}, **named(authority.issue("liucun")))
