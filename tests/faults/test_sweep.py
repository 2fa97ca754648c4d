"""Short forms of the fault sweeps; the whole of them is ``make faults``."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
NEEDS_COMPILER = pytest.mark.skipif(
    shutil.which("cc") is None, reason="no C compiler for the library that counts operations"
)


def points(module: str, *, every: int, first: int) -> int:
    """How many points a short sweep tried; it must end well."""
    done = subprocess.run(
        [sys.executable, "-m", module, "--every", str(every), "--first", str(first), "--quiet"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"^(\d+) points", done.stdout)
    assert found
    return int(found[1])


@NEEDS_COMPILER
@pytest.mark.timeout(600)
def test_failures_at_sampled_operations_leave_an_exact_archive() -> None:
    # Six operations or more, in two modes at least: which of them are writes differs with the log's timing.
    assert points("tests.faults.sweep", every=100, first=97) >= 12


@NEEDS_COMPILER
@pytest.mark.timeout(600)
def test_failures_at_sampled_operations_leave_a_destruction_that_ends_as_planned() -> None:
    # Three operations or more, in two modes at least.
    assert points("tests.faults.purge_sweep", every=230, first=115) >= 6
