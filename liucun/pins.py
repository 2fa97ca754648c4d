"""The log's keys that who audits has from elsewhere: ``LIUCUN_LOG_KEYS`` names their file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from retention.transparency.note import Verifier

LOG_KEYS: Final = "LIUCUN_LOG_KEYS"


def pins_of_environment() -> tuple[Verifier, ...]:
    """The keys in the file that the environment names; none where it names none.

    Raises:
        SettingsError: there is no such file, or it is no list of one log's keys.
    """
    from retention.transparency.pinning import read_pins

    named = os.environ.get(LOG_KEYS)
    return read_pins(Path(named)) if named else ()
