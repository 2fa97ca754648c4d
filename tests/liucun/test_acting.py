"""Commands act as the account of LIUCUN_TOKEN; a user of the operating system is never the second person."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.access.tokens import PREFIX
from errors import NotPermittedError
from liucun.store import open_store
from retention.second_person import SecondPersonError, check_second_person


def test_without_a_token_the_local_user_acts(store: Path) -> None:
    with open_store(store, ()) as opened:
        assert opened.actor.startswith("os:")
        assert opened.acting.is_local


@pytest.mark.parametrize("token", ["nonsense", PREFIX + "x" * 40, PREFIX + "y" * 500])
def test_a_token_that_is_not_valid_lets_nobody_act(store: Path, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("LIUCUN_TOKEN", token)
    with pytest.raises(NotPermittedError, match="token"), open_store(store, ()):
        pass


def test_the_second_person_is_another_one_and_has_an_account() -> None:
    check_second_person("user:ben", "user:ann", what="it")
    for actor, others in (
        ("user:ann", ("user:ann",)),
        ("user:ann", ("user:ben", "user:ann")),
        ("user:ann", ("os:ann",)),
        ("user:ben", ("user:cid", "os:ann")),
        ("os:ben", ("user:ann",)),
        ("system:worker", ("user:ann",)),
    ):
        with pytest.raises(SecondPersonError):
            check_second_person(actor, *others, what="it")
