"""Requests to an S3 server again and again while it is away, for so many seconds and no longer."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from retention.objects.base import missing
from retention.objects.s3_failures import BEYOND, MISSING, code_of, failure, worth_again

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 3.0

T = TypeVar("T")


class BeyondError(Exception):
    """The range begins past the object's end."""


def again(what: str, attempt: Callable[[], T], *, seconds: float, name: str | None = None) -> T:
    """Call until it succeeds, fails for good, or ``seconds`` have passed; ``what`` begins the error's sentence.

    Raises:
        ObjectMissingError, BeyondError: the object ``name`` is missing, or ends before the range.
        UnreachableError: the server stayed away.
        LiucunError: it refused.
    """
    until = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    while True:
        try:
            return attempt()
        except (ClientError, BotoCoreError) as error:
            if name is not None and isinstance(error, ClientError):
                _raise_known(name, error)
            if not worth_again(error) or time.monotonic() + pause > until:
                raise failure(what, error) from error
        # Collectors that lost the same server do not come back all at once.
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(pause * 2, _LONGEST_PAUSE)


def _raise_known(name: str, error: ClientError) -> None:
    if code_of(error) in MISSING:
        raise missing(name) from error
    if code_of(error) in BEYOND:
        raise BeyondError from error
