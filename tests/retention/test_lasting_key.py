"""What is sealed in the database under the lasting key, which nothing shreds: each place is known, and told in docs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("retention", "tickets", "pipelines", "console", "liucun")
KNOWN = {
    "retention/query/run.py": "words, purpose and ground of a query",
    "retention/holds/place.py": "matter, reason and target of a hold",
    "retention/holds/service.py": "why a hold was released",
    "retention/persons/restriction.py": "account and ground of a restriction, and why it was lifted",
    "retention/persons/requests.py": "account and words of a person's request",
    "retention/policies/decisions.py": "order and reason of a decision on a silent one",
    "retention/disclosure/requests.py": "why a disclosure was refused",
    "tickets/archived.py": "what evidence was read for",
    "console/access/reveal.py": "why personal data was revealed",
    "console/api/tickets.py": "why personal data was revealed",
    "console/access/totp.py": "secrets of one-time passwords",
    "tickets/retaining.py": "that a ticket's texts are gone",
}


def places() -> Iterator[tuple[str, int]]:
    """Calls that seal a small value without naming a key."""
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                    continue
                sealer = ast.unparse(node.func.value)
                named = any(word.arg == "under" for word in node.keywords)
                if node.func.attr == "seal" and sealer.rpartition(".")[2].endswith("bodies") and not named:
                    yield str(file.relative_to(ROOT)), node.lineno


def test_each_place_that_seals_under_the_lasting_key_is_told() -> None:
    assert {file for file, _ in places()} == KNOWN.keys()
    told = " ".join((ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8").split())
    for what in KNOWN.values():
        assert what in told, what
