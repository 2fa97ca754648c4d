"""A short form of the fault sweep; the whole of it is ``make faults``."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler for the library that counts operations")
@pytest.mark.timeout(600)
def test_failures_at_sampled_operations_leave_an_exact_archive() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.sweep", "--every", "100", "--first", "97", "--quiet"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    points = re.search(r"^(\d+) points", done.stdout)
    assert points
    # Six operations or more, in two modes at least: which of them are writes differs with the log's timing.
    assert int(points[1]) >= 12
