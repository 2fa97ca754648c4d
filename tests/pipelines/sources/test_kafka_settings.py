"""The settings of a Kafka source: what is refused, where passwords come from, what the client is told."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from errors import SettingsError
from pipelines.sources.kafka_settings import KafkaSettings, client_config, consumer_config
from pipelines.sources.spec import SourceSpec
from tests.certificates import Authority, Identity


def settings(**given: object) -> KafkaSettings:
    return KafkaSettings.model_validate({"brokers": ["h:9092"], "topics": ["t"], **given})


ACCOUNT = {"username": "u", "password_env": "A"}
PAIR = {"certificate_file": "c.pem", "key_file": "k.pem"}


@pytest.mark.parametrize(
    "given",
    [
        {"topics": []},
        {"topics": ["a", "a"]},
        {"topics": ["bad topic"]},
        {"topics": [".."]},
        {"brokers": ["h"]},
        {"brokers": ["h:"]},
        {"brokers": ["h:9092", "h:kafka"]},
        {"brokers": ["h:9092,g:9092"]},
        {"brokers": ["h: 9092"]},
        {"security": "sasl_tls"},
        {"security": "sasl_tls", "username": "u"},
        {"security": "sasl_tls", "username": "u", "password_env": "A", "password_file": "b"},
        {"username": "u", "password_env": "A"},
        {"ca_file": "ca.pem"},
        {"security": "tls", "certificate_file": "c.pem"},
        {"security": "tls", "key_file": "k.pem"},
        {"certificate_file": "c.pem", "key_file": "k.pem"},
        {"security": "sasl_plaintext", **ACCOUNT, "certificate_file": "c.pem", "key_file": "k.pem"},
        {"security": "tls", "key_password_env": "A"},
        {"key_password_file": "p"},
        {"security": "tls", **PAIR, "key_password_env": "A", "key_password_file": "p"},
        {"password": "secret"},
    ],
)
def test_settings_that_do_not_fit_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"validation error"):
        settings(**given)


def test_a_password_comes_from_where_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "password"
    file.write_text("from the file\n", encoding="utf-8")
    by_file = settings(security="sasl_tls", username="u", password_file=str(file))
    assert client_config(by_file)["sasl.password"] == "from the file"
    by_env = settings(security="sasl_tls", username="u", password_env="KAFKA_PASSWORD_OF_TESTS")
    with pytest.raises(SettingsError, match="KAFKA_PASSWORD_OF_TESTS"):
        client_config(by_env)
    monkeypatch.setenv("KAFKA_PASSWORD_OF_TESTS", "from the environment")
    assert client_config(by_env)["sasl.password"] == "from the environment"
    with pytest.raises(SettingsError, match="nowhere"):
        client_config(settings(security="sasl_tls", username="u", password_file=str(tmp_path / "nowhere")))


def test_an_empty_password_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text("\n", encoding="utf-8")
    monkeypatch.setenv("KAFKA_PASSWORD_OF_TESTS", "")
    for where in ({"password_file": str(tmp_path / "password")}, {"password_env": "KAFKA_PASSWORD_OF_TESTS"}):
        with pytest.raises(SettingsError, match="not set or empty"):
            client_config(settings(security="sasl_tls", username="u", **where))


def test_a_client_of_its_own_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority.made(tmp_path)
    open_, sealed = authority.issue("open"), authority.issue("sealed", password="of the key")
    monkeypatch.setenv("KEY_PASSWORD_OF_TESTS", "of the key")

    def config(identity: Identity, **given: object) -> dict[str, object]:
        files = {"certificate_file": str(identity.certificate), "key_file": str(identity.key)}
        return client_config(settings(security="tls", ca_file=str(authority.file), **files, **given))

    told = config(open_)
    assert told["security.protocol"] == "SSL"
    assert told["ssl.ca.location"] == str(authority.file)
    assert told["ssl.certificate.location"] == str(open_.certificate)
    assert told["ssl.key.location"] == str(open_.key)
    assert "ssl.key.password" not in told
    assert config(sealed, key_password_env="KEY_PASSWORD_OF_TESTS")["ssl.key.password"] == "of the key"
    with pytest.raises(SettingsError, match=r"\[source.kafka\] key_file: .* is sealed with a password"):
        config(sealed)
    with pytest.raises(SettingsError, match=r"\[source.kafka\] ca_file: .* cannot be read"):
        client_config(settings(security="tls", ca_file=str(tmp_path / "nowhere")))


def test_settings_that_go_to_other_machines_hold_paths_and_no_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = Authority.made(tmp_path).issue("sealed", password="of the key")
    monkeypatch.setenv("KEY_PASSWORD_OF_TESTS", "of the key")
    files = {"certificate_file": str(sealed.certificate), "key_file": str(sealed.key)}
    given = settings(security="tls", **files, key_password_env="KEY_PASSWORD_OF_TESTS")
    client_config(given)
    carried = pickle.loads(pickle.dumps(given))
    assert carried == given
    assert "of the key" not in repr(carried)
    assert b"of the key" not in pickle.dumps(given)
    assert b"PRIVATE KEY" not in pickle.dumps(given)
    sealed.key.unlink()
    with pytest.raises(SettingsError, match=r"key_file: .* cannot be read"):
        client_config(carried)


def test_a_reader_never_resets_never_commits_and_reads_committed_messages_only() -> None:
    config = consumer_config(settings(), queued_bytes=1 << 20)
    assert config["auto.offset.reset"] == "error"
    assert config["enable.auto.commit"] is False
    assert config["isolation.level"] == "read_committed"
    assert consumer_config(settings(), queued_bytes=16 << 20)["queued.max.messages.kbytes"] == 16 << 10, "back-pressure"


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "kafka"},
        {"kind": "kafka", "paths": ["x"], "kafka": {"brokers": ["h:1"], "topics": ["t"]}},
        {"kind": "files", "paths": ["x"], "kafka": {"brokers": ["h:1"], "topics": ["t"]}},
        {"kind": "kafka", "format": "csv", "kafka": {"brokers": ["h:1"], "topics": ["t"]}},
    ],
)
def test_sources_are_of_one_kind(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"validation error"):
        SourceSpec.model_validate({"name": "k", "record_class": "content", "format": "ndjson", **fields})
