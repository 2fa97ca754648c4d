"""``liucun keys`` end to end: rotate, move to other providers, escrow and loss, shredding refused, collectors."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pkcs11
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from errors import LiucunError
from liucun.cli import main_group
from retention.catalogue.engine import Catalogue
from retention.catalogue.tables import events
from retention.keys.keyring import KeyRing
from retention.keys.periods import PeriodKeys
from tests.retention.keys import softhsm
from tickets.tables_sending import duties

PASSPHRASE = "a passphrase for tests"
CUSTODIAN = "the custodian's passphrase"
COUNT = "SELECT count(*) AS n FROM content"


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def liucun(*words: str, **changes: str | None) -> Finished:
    """Run a command in this process, as the front door does."""
    env: dict[str, str | None] = {name: None for name in os.environ if name.startswith("LIUCUN_")}
    env |= {"LIUCUN_PASSPHRASE": PASSPHRASE, "LIUCUN_ESCROW_PASSPHRASE": CUSTODIAN, **changes}
    result = CliRunner().invoke(main_group, words, env=env)
    if isinstance(result.exception, LiucunError):
        return Finished(result.exception.exit_code, result.stdout, result.stderr + str(result.exception))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Finished(result.exit_code, result.stdout, result.stderr)


def done(*words: str, **changes: str | None) -> Any:
    """Run a command with --json; its result."""
    finished = liucun(*words, "--json", **changes)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def kinds(store: Path) -> list[str]:
    catalogue = Catalogue.open(f"sqlite:///{store / 'catalogue.db'}")
    with catalogue.read() as connection:
        found = connection.execute(
            sa.select(events.c.kind).where(events.c.subject == "keys").order_by(events.c.id)
        ).scalars()
        rows = list(found)
    catalogue.close()
    return rows


def rows(store: Path, **changes: str | None) -> int:
    return int(done("query", COUNT, "--purpose", "test", "--store", str(store), **changes)[0]["n"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "a.ndjson").write_text("".join(f'{{"text":"一条评论 {n}"}}\n' for n in range(20)))
    store = folder / "store"
    assert liucun("init", "--store", str(store)).returncode == 0
    ran = liucun("run", "--source", f"content:ndjson:{folder}/a.ndjson", "--published", "--store", str(store), "--json")
    assert ran.returncode == 0, ran.stderr
    assert "UNCERTIFIED" in ran.stderr
    return store


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "store"
    subprocess.run(["cp", "-r", str(made), str(copy)], check=True)
    return copy


def test_rotation_touches_no_segment_and_is_on_record(store: Path) -> None:
    before = digests(store / "objects" / "segments")
    assert before
    first = done("keys", "list", "--store", str(store))
    change = done("keys", "rotate", "--store", str(store))
    assert change["rewrapped"] == len(first["keys"]) + len(first["verifiers"])
    assert digests(store / "objects" / "segments") == before
    assert rows(store) == 20
    second = done("keys", "list", "--store", str(store))
    assert second["provider_keys"] == [*first["provider_keys"], change["key_id"]]
    forgotten = done("keys", "rewrap", "--forget-old", "--store", str(store))
    assert forgotten["forgotten"] == first["provider_keys"]
    assert rows(store) == 20
    assert kinds(store) == ["keys.rotate.begun", "keys.rotate.done", "keys.rewrap.begun", "keys.rewrap.done"]


def test_list_says_what_is_not_certified_and_not_in_escrow(store: Path) -> None:
    listed = done("keys", "list", "--store", str(store))
    assert [(c["job"], c["certified"]) for c in listed["certificates"]] == [
        ("key_protection", False),
        ("bulk_encryption", False),
        ("signing", False),
    ]
    assert listed["not_in_escrow"] == listed["provider_keys"]
    words = liucun("keys", "list", "--store", str(store))
    assert words.stdout.count("uncertified") == 3
    assert "never" in words.stdout
    doctor = liucun("doctor", "--store", str(store))
    assert "with no second custodian" in doctor.stdout
    assert doctor.stdout.count("uncertified 未取得产品认证") == 3


@pytest.mark.parametrize("to", ["sm2", "passphrase"])
def test_a_lost_key_ring_and_its_return_from_escrow(store: Path, tmp_path: Path, to: str) -> None:
    """The rehearsal of docs/keys.md, step by step."""
    copy, words = tmp_path / "copy.json", ["--store", str(store)]
    made = done("keys", "make-recipient", str(tmp_path / "custodian"))
    recipient = ["--recipient", made["public"]] if to == "sm2" else []
    exported = done("keys", "export-escrow", str(copy), *recipient, *words)
    assert done("keys", "list", *words)["not_in_escrow"] == []
    assert liucun("doctor", *words).stdout.count("all provider keys") == 1

    (store / "keys" / "keyring.json").unlink()
    lost = liucun("query", COUNT, "--purpose", "test", *words)
    assert lost.returncode == 4
    assert "no key ring" in lost.stderr

    theirs = ["--private-key", made["private"]] if to == "sm2" else []
    wrong = liucun("keys", "import-escrow", str(copy), *theirs, *words, LIUCUN_ESCROW_PASSPHRASE="wrong")
    assert wrong.returncode == 4
    assert not (store / "keys" / "keyring.json").exists()
    new = {"LIUCUN_PASSPHRASE": "another passphrase, later"}
    back = done("keys", "import-escrow", str(copy), *theirs, *words, **new)
    assert back["digest"] == exported["digest"]
    assert back["opened"] > 0
    assert rows(store, **new) == 20
    assert liucun("query", COUNT, "--purpose", "test", *words).returncode == 4
    again = liucun("keys", "import-escrow", str(copy), *theirs, *words, **new)
    assert again.returncode == 2
    assert "exists already" in again.stderr
    assert kinds(store)[-2:] == ["keys.restore.begun", "keys.restore.done"]


def test_an_escrow_copy_from_before_a_rotation_is_found_out_at_once(store: Path, tmp_path: Path) -> None:
    words = ["--store", str(store)]
    done("keys", "export-escrow", str(tmp_path / "old.json"), *words)
    done("keys", "rotate", *words)
    assert len(done("keys", "list", *words)["not_in_escrow"]) == 1
    (store / "keys" / "keyring.json").unlink()
    stale = liucun("keys", "import-escrow", str(tmp_path / "old.json"), *words)
    assert stale.returncode == 4
    assert "not in" in stale.stderr


def test_a_move_to_sm2_and_collectors_that_cannot_read(store: Path, tmp_path: Path) -> None:
    words = ["--store", str(store)]
    moved = done("keys", "rewrap", "--to", "sm2", *words, LIUCUN_NEW_PASSPHRASE="of the private keys")
    assert moved["provider"] == "sm2"
    assert 'provider = "sm2"' in (store / "liucun.toml").read_text(encoding="utf-8")
    home = {"LIUCUN_PASSPHRASE": "of the private keys"}
    assert rows(store, **home) == 20
    assert liucun("query", COUNT, "--purpose", "test", *words).returncode == 4

    private = store / "keys" / "sm2-private.json"
    away = tmp_path / "away.json"
    private.rename(away)
    (tmp_path / "b.ndjson").write_text("".join(f'{{"text":"加微信 a{n} 赌博平台"}}\n' for n in range(5)))
    source = ["--source", f"content:ndjson:{tmp_path}/b.ndjson", "--published"]
    summary = done("run", *source, *words, LIUCUN_PASSPHRASE=None)
    assert summary["records_in"] == 5
    refused = liucun("query", COUNT, "--purpose", "test", *words, LIUCUN_PASSPHRASE=None)
    assert refused.returncode == 4
    assert "cannot read" in refused.stderr
    assert "只写不读" in liucun("doctor", *words, LIUCUN_PASSPHRASE=None).stdout

    index = store / "keys" / "index.json"
    index.rename(tmp_path / "index.json")
    without = liucun("run", *source, *words, LIUCUN_PASSPHRASE=None)
    assert without.returncode == 4
    assert "index keys" in without.stderr
    (tmp_path / "index.json").rename(index)

    away.rename(private)
    assert rows(store, **home) == 25
    audit = liucun("audit", "all", *words, **home)
    assert audit.returncode == 0, audit.stdout + audit.stderr
    back = done("keys", "rewrap", "--to", "keyring", *words, LIUCUN_NEW_PASSPHRASE=PASSPHRASE, **home)
    assert back["provider"] == "keyring"
    assert rows(store) == 25


def test_a_collector_in_a_folder_of_its_own(tmp_path: Path) -> None:
    """It shares objects, catalogue and period keys with the home, and has of the keys what may lie there."""
    home, collector = tmp_path / "home", tmp_path / "collector"
    done("init", "--store", str(home), "--key-provider", "sm2")
    (collector / "keys").mkdir(parents=True)
    for name in ("sm2-public.pem", "index.json"):
        (collector / "keys" / name).write_bytes((home / "keys" / name).read_bytes())
    (collector / "liucun.toml").write_text(
        f'format = 1\n[archive]\nobjects = "{home}/objects"\ncatalogue = "{home}/catalogue.db"\n'
        f'[keys]\nprovider = "sm2"\nperiods = "{home}/keys/periods.db"\n'
    )
    (tmp_path / "a.ndjson").write_text("".join(f'{{"text":"一条评论 {n}"}}\n' for n in range(7)))
    source = ["--source", f"content:ndjson:{tmp_path}/a.ndjson", "--published"]
    summary = done("run", *source, "--store", str(collector), LIUCUN_PASSPHRASE=None)
    assert summary["records_in"] == 7
    again = done("run", *source, "--store", str(collector), LIUCUN_PASSPHRASE=None)
    assert again["records_in"] == 0
    assert liucun("keys", "rotate", "--store", str(collector), LIUCUN_PASSPHRASE=None).returncode in {2, 4}
    assert rows(home) == 7
    audit = liucun("audit", "all", "--store", str(home))
    assert audit.returncode == 0, audit.stdout + audit.stderr


def test_a_move_to_a_token_and_its_wrong_pin(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    library = softhsm.library()
    monkeypatch.setenv("SOFTHSM2_CONF", "")
    monkeypatch.setattr("retention.keys.pkcs11_token._logins", {})
    pkcs11.unload(library)
    request.addfinalizer(lambda: pkcs11.unload(library))
    softhsm.make_token(tmp_path, "archive")
    words = ["--store", str(store)]
    without = liucun("keys", "rewrap", "--to", "pkcs11", *words, LIUCUN_NEW_PASSPHRASE=softhsm.PIN)
    assert without.returncode == 3
    assert "[keys.pkcs11]" in without.stderr
    settings = store / "liucun.toml"
    section = f'\n[keys.pkcs11]\nlibrary = "{library}"\ntoken = "archive"\n'
    certificate = '[keys.certificates.key_protection]\nnumber = "GM1"\nproduct = "HSM"\nvalid_until = 2099-01-01\n'
    settings.write_text(settings.read_text(encoding="utf-8") + section + certificate, encoding="utf-8")
    wrong = liucun("keys", "rewrap", "--to", "pkcs11", *words, LIUCUN_NEW_PASSPHRASE="000000")
    assert wrong.returncode == 4
    assert "refuses the PIN" in wrong.stderr
    assert rows(store) == 20
    done("keys", "rewrap", "--to", "pkcs11", *words, LIUCUN_NEW_PASSPHRASE=softhsm.PIN)
    pin = {"LIUCUN_PASSPHRASE": softhsm.PIN}
    assert rows(store, **pin) == 20
    before = digests(store / "objects")
    (tmp_path / "b.ndjson").write_text('{"text":"never in the clear"}\n')
    source = ["--source", f"content:ndjson:{tmp_path}/b.ndjson", "--published"]
    for bad in ("000000", None):
        assert liucun("run", *source, *words, LIUCUN_PASSPHRASE=bad).returncode == 4
    assert digests(store / "objects") == before
    assert done("keys", "rotate", "--forget-old", *words, **pin)["key_id"] == "liucun-2"
    listed = done("keys", "list", *words, **pin)
    assert [c["certified"] for c in listed["certificates"]] == [True, False, False]
    assert listed["not_in_escrow"] == []
    refused = liucun("keys", "export-escrow", str(tmp_path / "copy.json"), *words, **pin)
    assert refused.returncode == 2
    audit = done("audit", "coverage", *words, **pin)
    assert "GM1" in audit["certification"]
    assert "uncertified" in audit["certification"]


def test_keys_in_use_are_never_shredded(store: Path) -> None:
    words = ["--store", str(store), "--reason", "a test"]
    for key in done("keys", "list", "--store", str(store))["keys"]:
        refused = liucun("keys", "shred", key["key_id"], *words)
        assert refused.returncode == 9, refused.stderr
    assert rows(store) == 20
    assert liucun("keys", "shred", "none", *words).returncode == 4


def test_a_key_that_seals_nothing_is_shredded_once(store: Path) -> None:
    ring = KeyRing.open(store / "keys" / "keyring.json", PASSPHRASE)
    keys = PeriodKeys.open(f"sqlite:///{store / 'keys' / 'periods.db'}", ring)
    left = keys.current("content", "2020-01").key_id
    keys.close()
    words = ["--store", str(store), "--reason", "made by mistake"]
    assert done("keys", "shred", left, *words)["destroyed"] is True
    again = liucun("keys", "shred", left, *words)
    assert again.returncode == 4
    listed = done("keys", "list", "--all", "--store", str(store))
    assert [key["key_id"] for key in listed["keys"] if key["destroyed_at"]] == [left]
    assert kinds(store) == ["keys.shred.begun", "keys.shred.done"]
    audit = done("audit", "keys", "--store", str(store))
    assert audit["ok"] is True
    assert audit["findings"] == []


def test_new_signing_keys_and_the_log_still_verifies(store: Path) -> None:
    words = ["--store", str(store)]
    before = done("keys", "list", *words)["verifiers"]
    after = done("keys", "rotate", "--signing", *words)["verifiers"]
    assert set(before).isdisjoint(after)
    assert set(done("keys", "list", *words)["verifiers"]) == {*before, *after}


def test_a_move_that_was_cut_off_before_the_settings_is_finished_by_the_same_command(store: Path) -> None:
    words = ["--store", str(store)]
    before = (store / "liucun.toml").read_bytes()
    done("keys", "rewrap", "--to", "sm2", *words, LIUCUN_NEW_PASSPHRASE="of the private keys")
    (store / "liucun.toml").write_bytes(before)
    cut = liucun("query", COUNT, "--purpose", "test", *words)
    assert cut.returncode == 4
    assert "Set [keys] provider" in cut.stderr
    done("keys", "rewrap", "--to", "sm2", *words, LIUCUN_NEW_PASSPHRASE="of the private keys")
    assert rows(store, LIUCUN_PASSPHRASE="of the private keys") == 20


def test_the_key_of_a_month_that_is_due_goes_by_a_purge_only(store: Path) -> None:
    words = ["--store", str(store)]
    duty = done("duties", "add", "--kind", "assessment", "--title", "直播评估", "--start", "2020-01-05", *words)[
        "duty_id"
    ]
    catalogue = Catalogue.open(f"sqlite:///{store / 'catalogue.db'}")
    year = "2020-01-05T00:00:00.000000Z"
    long_ago = {"state": "done", "created_at": year, "started_at": year, "completed_at": year}
    with catalogue.write() as connection:
        connection.execute(duties.update().values(**long_ago))
        (key,) = connection.execute(sa.select(duties.c.text_key).distinct()).scalars()
    shred = ["keys", "shred", key, "--reason", "a test", *words]
    refused = liucun(*shred)
    assert refused.returncode == 9
    assert "rows of duty lie under it in the database" in refused.stderr
    assert "liucun purge" in refused.stderr
    # Also where the duty itself says that it lies under another key, or that it is gone.
    for changed in ({"text_key": None}, {"text_key": None, "texts_gone": "P0"}):
        with catalogue.write() as connection:
            connection.execute(duties.update().values(**changed))
        refused = liucun(*shred)
        assert refused.returncode == 9
        assert "rows of duty lie under it in the database" in refused.stderr
    with catalogue.write() as connection:
        connection.execute(duties.update().values(text_key=key, texts_gone=None))
    catalogue.close()
    assert kinds(store).count("keys.shred.begun") == 0
    shown = done("duties", "list", "--all", *words)
    assert [one["title"] for one in shown if one["duty_id"] == duty] == ["直播评估"]
