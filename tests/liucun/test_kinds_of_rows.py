"""Every command knows every kind of row that the log keeps images of: without, it can neither verify nor rebuild."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
KNOWN = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
from retention.catalogue import images
print(json.dumps(sorted(f"{item.prefix}: {item.table.name}" for item in images.registered())))
"""


def known(*modules: str) -> set[str]:
    """Kinds and tables that a fresh interpreter knows of that imported these."""
    done = subprocess.run([sys.executable, "-c", KNOWN, *modules], capture_output=True, check=True, cwd=ROOT)
    return set(json.loads(done.stdout))


def test_who_opens_a_store_knows_the_rows_of_every_room() -> None:
    declaring = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for room in ("retention", "tickets", "console", "pipelines", "detectors", "liucun")
        for path in (ROOT / room).rglob("*.py")
        if "images.register(" in path.read_text(encoding="utf-8")
    ]
    assert len(declaring) >= 9
    assert known("liucun.store") == known(*declaring)
