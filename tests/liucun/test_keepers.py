"""A purge from the command line has with it whoever empties each class of what is sealed in the database."""

from __future__ import annotations

import subprocess
import sys


def test_every_class_has_its_keeper_in_a_process_that_only_purges() -> None:
    code = (
        "import liucun.commands.purge\n"
        "from liucun.keepers import load_keepers\n"
        "load_keepers()\n"
        "from retention.crypto.bodies import BESIDE\n"
        "from retention.purge.beside import _keepers\n"
        "print(sorted(BESIDE - set(_keepers)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
