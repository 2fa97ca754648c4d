"""What the pages point to is there: other pages, files, and the tests that stand behind each guarantee."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"), *PROJECT.glob("deploy/**/*.md")])
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
_PAGE = re.compile(r"`(docs/[A-Za-z0-9_.-]+\.md)`")
_TEST = re.compile(r"`(test_[a-z0-9_]+)(\.py)?`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [page.parent / link for link in _LINK.findall(text) if "://" not in link]
    links += [PROJECT / name for name in _PAGE.findall(text)]
    assert not [link for link in links if not link.exists()]


def test_every_guarantee_names_tests_that_exist() -> None:
    named = _TEST.findall((PROJECT / "docs" / "threat-model.md").read_text(encoding="utf-8"))
    assert len(named) > 20
    files = list(PROJECT.glob("tests/**/test_*.py"))
    names = {name for file in files for name in re.findall(r"def (test_\w+)\(", file.read_text(encoding="utf-8"))}
    there = names | {file.stem for file in files}
    assert not [name for name, _ in named if name not in there]
