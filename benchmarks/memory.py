"""The most memory that this process has held."""

from __future__ import annotations

import re
import resource
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")


def peak_bytes() -> int:
    """Resident bytes at most since this program began (``VmHWM`` of proc(5)).

    Where there is no ``/proc``, what getrusage(2) says: on Linux that counts what the parent held when it started this
    process, too, which for the child of a big program is a figure of the parent's.
    """
    try:
        found = re.search(r"^VmHWM:\s*(\d+) kB$", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        found = None
    return int(found[1]) * 1024 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
