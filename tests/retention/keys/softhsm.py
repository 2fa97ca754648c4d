"""A real PKCS#11 token in software (Debian's softhsm2), made for a test."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PIN = "123456 用户"
LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
)


def library() -> str:
    """The module's path; the test skips visibly where it is not installed."""
    found = next((path for path in LIBRARIES if Path(path).is_file()), None)
    if found is None or shutil.which("softhsm2-util") is None:
        pytest.skip("softhsm2 is not installed: make softhsm installs it")
    return found


def make_token(folder: Path, label: str, *, pin: str = PIN) -> None:
    """Make a token in ``folder`` and let this process (and its children) see the tokens of this folder."""
    configuration = folder / "softhsm2.conf"
    (folder / "tokens").mkdir(parents=True, exist_ok=True)
    configuration.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", "87654321"],
        check=True,
        capture_output=True,
    )
