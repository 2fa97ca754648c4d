"""Finds the servers of `make services`; a test that needs one and does not find it is skipped, and says so."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SCRIPTS = PROJECT / "deploy" / "services"


def folder() -> Path:
    """Where the servers' settings lie."""
    return Path(os.environ.get("LIUCUN_SERVICES") or PROJECT / ".services").resolve()


def settings() -> dict[str, str]:
    """What the running servers' scripts published; the environment comes first."""
    found: dict[str, str] = {}
    for file in sorted(folder().glob("*/env")):
        for line in file.read_text(encoding="utf-8").splitlines():
            name, separator, value = line.partition("=")
            if separator and not name.startswith("#"):
                found[name.strip()] = value.strip()
    return {name: os.environ.get(name, value) for name, value in found.items()}


def need(server: str, *names: str) -> tuple[str, ...]:
    """The values of settings of a server that runs, or a skipped test."""
    known = settings()
    if any(name not in known for name in names):
        pytest.skip(f"{server} was never started here: `make services`")
    if subprocess.run(
        [SCRIPTS / f"{server}.sh", "status"], env=script_env(), capture_output=True, check=False
    ).returncode:
        pytest.skip(f"{server} does not run: `make services`")
    return tuple(known[name] for name in names)


@contextmanager
def topic(prefix: str) -> Iterator[tuple[str, str]]:
    """A new topic: (address of the broker, its name)."""
    from confluent_kafka.admin import AdminClient, NewTopic

    address = need("kafka", "LIUCUN_TEST_KAFKA")[0]
    name = f"{prefix}-{secrets.token_hex(4)}"
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)
    try:
        yield address, name
    finally:
        admin.delete_topics([name])[name].result(30)


def script_env() -> dict[str, str]:
    """The environment of a server's script."""
    return {**os.environ, "LIUCUN_SERVICES": str(folder())}


def control(server: str, action: str) -> None:
    """start, stop, restart or kill a server by its script."""
    done = subprocess.run(
        [SCRIPTS / f"{server}.sh", action], env=script_env(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def database(admin: str) -> Iterator[str]:
    """An empty database of its own, gone afterwards with whoever still uses it; gives its URL."""
    from benchmarks import flink_stand

    with flink_stand.database(admin, f"test_{secrets.token_hex(6)}") as url:
        yield url


def s3_environment(found: tuple[str, ...]) -> Mapping[str, str]:
    """Credentials of the archive's account, as AWS's tools take them."""
    _, key, secret = found
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_EC2_METADATA_DISABLED": "true"}


def wait_until(what: str, happened, seconds: float = 30) -> None:
    """Wait for something that must happen."""
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, f"{what} did not happen within {seconds} s"
        time.sleep(0.05)
