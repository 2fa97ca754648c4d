"""What the benchmarks say of memory is the measured process's own, not that of the one that started it."""

from __future__ import annotations

import subprocess
import sys

_CHILD = "from benchmarks.memory import peak_bytes; held = bytearray(64 << 20); print(peak_bytes())"
_PARENT = """
import subprocess, sys
held = bytearray(400 << 20)
print(subprocess.run([sys.executable, "-c", sys.argv[1]], capture_output=True, text=True, check=True).stdout)
"""


def test_the_child_of_a_big_program_tells_its_own_peak() -> None:
    done = subprocess.run([sys.executable, "-c", _PARENT, _CHILD], capture_output=True, text=True, check=True)
    assert 64 << 20 <= int(done.stdout) < 200 << 20
