"""Named groups of words (``groups.csv``, columns ``name,words``): a word ``@name`` stands for the words of a group."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from detectors.keywords.pack_rows import Faults, read_rows, shown
from detectors.keywords.rules import Problem

GROUPS_FILE: Final = "groups.csv"
MAX_GROUP: Final = 100_000
"""Words that a group may hold, those of the groups that it names included."""

Groups = dict[str, tuple[str, ...]]


def listed(text: str) -> tuple[str, ...]:
    """The parts of a cell between bars, empty ones left out."""
    return tuple(part for part in (p.strip() for p in text.split("|")) if part)


def read_groups(path: Path, label: str = "") -> tuple[Groups, list[Problem]]:
    """Read named groups of words and resolve what they name in one another."""
    faults = Faults(label or path.name)
    raw: dict[str, tuple[tuple[str, ...], int]] = {}
    for line, row in read_rows(path, ("name", "words"), faults):
        name = row.get("name", "").strip().lstrip("@")
        if not name:
            faults.add(line, "A group has no name.", "Give it one in the column name.")
        elif name in raw:
            what = f"The group {shown(name)} is defined twice, first in line {raw[name][1]}."
            faults.add(line, what, "Keep one.")
        else:
            raw[name] = (listed(row.get("words", "")), line)
            if not raw[name][0]:
                faults.add(line, f"The group {shown(name)} holds an empty word and no other.", "Write its words.")
    return _resolved(raw, faults), faults.found


def _resolved(raw: dict[str, tuple[tuple[str, ...], int]], faults: Faults) -> Groups:
    """Every group with its words written out; without recursion, since a hostile file may nest without end."""
    done: Groups = {}
    for root in raw:
        path: dict[str, None] = {}
        stack = [root]
        while stack:
            name = stack[-1]
            if name in done:
                stack.pop()
                continue
            path.setdefault(name)
            words, line = raw[name]
            wanted = [w[1:] for w in words if w.startswith("@") and len(w) > 1 and w[1:] not in done]
            known = [other for other in wanted if other in raw]
            circle = next((other for other in known if other in path), None)
            if circle is not None:
                chain = [*list(path)[list(path).index(circle) :], circle]
                text = " → ".join(chain if len(chain) <= 6 else [*chain[:5], "…", circle])
                faults.add(line, f"The groups name each other in a circle: {text}.", "Take one of the names out.")
            if circle is None and known:
                stack.append(known[0])
                continue
            done[name] = _words(name, words, line, done, raw, faults)
            path.pop(name)
            stack.pop()
    return done


def _words(
    name: str,
    words: tuple[str, ...],
    line: int,
    done: Groups,
    raw: dict[str, tuple[tuple[str, ...], int]],
    faults: Faults,
) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for word in words:
        if not word.startswith("@") or len(word) == 1:
            if word in found:
                faults.add(line, f"The word {shown(word)} stands twice in the group {shown(name)}.", "Keep one.")
            found[word] = None
        elif word[1:] not in raw:
            faults.add(line, f"The group {shown(word)} is not defined.", "Define it, or correct its name.")
        else:
            found |= dict.fromkeys(done.get(word[1:], ()))
        if len(found) > MAX_GROUP:
            faults.add(line, f"The group {shown(name)} holds over {MAX_GROUP:,} words.", "Divide it.")
            return ()
    return tuple(found)
