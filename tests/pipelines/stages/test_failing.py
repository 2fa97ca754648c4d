"""What leaves a stage that failed: in this process the error itself, on a cluster nobody's words but our own."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from errors import StorageError
from pipelines import handover
from pipelines.stages.failing import Failing

PERSON = "13812345678"


class Breaks(Failing):
    """Fails as a database does that refuses a row: its error quotes it."""

    def __init__(self, *, typed: bool) -> None:
        super().__init__("job")
        self.typed = typed

    def work(self, element: str) -> Iterator[Any]:
        try:
            with sa.create_engine("sqlite://").connect() as connection:
                connection.execute(sa.text("INSERT INTO nowhere VALUES (:user)"), {"user": element})
        except sa.exc.OperationalError as error:
            if self.typed:
                raise StorageError("The row was refused.", cure="Look at the database.") from error
            raise
        yield element


def said_by(stage: Failing) -> str:
    """What a runner passes on: the traceback, with all errors behind it."""
    try:
        list(stage.process(PERSON))
    except Exception:  # noqa: BLE001 - any
        return traceback.format_exc()
    raise AssertionError


@pytest.mark.parametrize("typed", [True, False])
def test_on_a_cluster_no_error_quotes_a_record(caplog: pytest.LogCaptureFixture, *, typed: bool) -> None:
    said = said_by(Breaks(typed=typed))
    assert PERSON not in said
    assert PERSON not in caplog.text
    word = "The row was refused. Look at the database." if typed else "StageError: OperationalError at "
    assert word in said
    assert "test_failing.py" in said, "where it was raised is told"
    assert "a stage failed" in caplog.text


def test_in_this_process_the_error_is_kept_as_it_was_raised() -> None:
    running = handover.begin("job", [])
    try:
        with pytest.raises(sa.exc.OperationalError, match=PERSON) as raised:
            list(Breaks(typed=False).process(PERSON))
    finally:
        handover.end("job")
    assert running.failure is raised.value
