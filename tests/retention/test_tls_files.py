"""PEM files for TLS: what is wrong with one is said, and nothing of what it holds."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from errors import SettingsError
from retention import tls_files
from retention.tls_files import check_authorities, check_identity
from tests.certificates import DAY, Authority, Identity

CA = "[somewhere] ca_file"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.made(tmp_path)


def check(identity: Identity, password: str | None = None) -> None:
    check_identity(str(identity.certificate), str(identity.key), password, "[somewhere]")


def test_what_is_fine_passes(authority: Authority) -> None:
    check_authorities(str(authority.file), CA)
    check(authority.issue("open"))
    check(authority.issue("sealed", password="密码"), "密码")
    chain = authority.issue("chain")
    chain.certificate.write_bytes(chain.certificate.read_bytes() + authority.file.read_bytes())
    check(chain)
    check(replace(chain, key=chain.both))


def test_the_bundle_of_this_system_passes() -> None:
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if not bundle.exists():
        pytest.skip("this system has its authorities elsewhere")
    check_authorities(str(bundle), CA)


def test_of_several_authorities_one_may_have_expired(tmp_path: Path, authority: Authority) -> None:
    old = Authority.made(tmp_path, "old", valid=-DAY)
    with pytest.raises(SettingsError, match=r"^\[somewhere\] ca_file: the certificate in .*old.pem expired on 20"):
        check_authorities(str(old.file), CA)
    both = tmp_path / "both.pem"
    both.write_bytes("# 说明\n".encode() + old.file.read_bytes() + authority.file.read_bytes())
    check_authorities(str(both), CA)


def _garbage(file: Path) -> None:
    file.write_bytes(os.urandom(1000))


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:200])


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _absent(file: Path) -> None:
    file.unlink()


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _device(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


def _huge(file: Path) -> None:
    os.truncate(file, 1 << 40)


@pytest.mark.parametrize("harm", [_garbage, _cut, _empty, _absent, _folder, _pipe, _device, _huge])
@pytest.mark.parametrize("which", ["certificate", "key", "authority"])
def test_files_that_cannot_be_used(authority: Authority, harm: Callable[[Path], None], which: str) -> None:
    identity = authority.issue("some")
    if which == "authority":
        harm(authority.file)
        with pytest.raises(SettingsError, match=r"ca_file: ") as told:
            check_authorities(str(authority.file), CA)
    else:
        harm(getattr(identity, which))
        with pytest.raises(SettingsError, match=rf"\[somewhere\] {which}_file: ") as told:
            check(identity)
    assert len(str(told.value)) < 500
    assert "Error" not in str(told.value)


def test_a_path_that_none_can_be() -> None:
    for path in ("a\0b", "a" * 5000):
        with pytest.raises(SettingsError, match="cannot be read"):
            check_authorities(path, CA)


def test_a_key_that_belongs_to_another_certificate(authority: Authority) -> None:
    one, other = authority.issue("one"), authority.issue("other")
    with pytest.raises(SettingsError, match="does not belong to the certificate"):
        check(replace(one, key=other.key))


def test_a_chain_that_begins_with_its_authority(authority: Authority) -> None:
    found = authority.issue("chain")
    found.certificate.write_bytes(authority.file.read_bytes() + found.certificate.read_bytes())
    with pytest.raises(SettingsError, match="own certificate first"):
        check(found)


def test_passwords(authority: Authority) -> None:
    sealed, open_ = authority.issue("sealed", password="right one"), authority.issue("open")
    with pytest.raises(SettingsError, match="is sealed with a password, and none is given"):
        check(sealed)
    with pytest.raises(SettingsError, match="a password is given"):
        check(open_, "superfluous one")
    for wrong in ("wrong one", "\udcff", "x" * 2000):
        with pytest.raises(SettingsError, match="does not open it") as told:
            check(sealed, wrong)
        assert wrong not in str(told.value)


def test_dates(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"certificate_file: the certificate in .* expired on 20.*renewed"):
        check(authority.issue("old", valid=-DAY))

    class Earlier(tls_files.datetime):
        @classmethod
        def now(cls, tz=None):
            return super().now(tz) - 3 * DAY

    monkeypatch.setattr(tls_files, "datetime", Earlier)
    with pytest.raises(SettingsError, match=r"is not valid before 20.*clock"):
        check(authority.issue("early"))


def test_rights_that_are_missing(authority: Authority) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    identity = authority.issue("some")
    identity.key.chmod(0)
    with pytest.raises(SettingsError, match=r"key_file: .* cannot be read: Permission denied"):
        check(identity)
