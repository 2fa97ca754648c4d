"""Renewed signing keys and a custodian who knows only the old ones: the archive goes on, he gets what he can read."""

from __future__ import annotations

from retention.keys.signing import renew_signers
from tests.retention.sealed_store import hours
from tests.retention.transparency.conftest import Logged, keeper


def test_renewed_keys_stop_nothing_and_are_witnessed_once_the_custodian_lists_them(logged: Logged) -> None:
    before = logged.log.custodian()
    assert before is not None
    seen = before.sizes()
    new = renew_signers(logged.store.period_keys)
    for count in (3, 4):
        log = keeper(logged.store, logged.custodian)
        logged.store.add(hours(count))
        log.keep()
        log.keep()
        (warning,) = log.warnings
        assert "does not list the keys" in warning
        custodian = log.custodian()
        assert custodian is not None
        assert custodian.sizes() == seen, "he gets nothing that he could not read back"
    verdict = logged.audit()
    assert verdict.ok
    assert not verdict.anchored

    (listed,) = [path for path in logged.custodian.rglob("keys") if path.is_file()]
    listed.chmod(0o600)
    with listed.open("a") as file:
        file.writelines(f"{signer.verifier.encode()}\n" for signer in new)
    log = keeper(logged.store, logged.custodian)
    log.keep()
    assert log.warnings == []
    custodian = log.custodian()
    assert custodian is not None
    assert custodian.sizes()[-1] > seen[-1]
    assert Logged(logged.store, log, logged.custodian).audit().anchored
