"""The folding tables of all steps as they ship: read in milliseconds, where making them takes a second.

``python -m detectors.normalise.tables.shipped`` writes ``folded.npz`` anew after a change of what they are made from;
until then the tables are made, not read, because the file names the digest of its sources.
"""

from __future__ import annotations

import hashlib
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

HOME: Final = Path(__file__).parent
FILE: Final = HOME / "folded.npz"
SOURCES: Final = ("fold.py", "lookalikes.py", "readings.py", "signs.py", "split.py", "split.txt")
PARTS: Final = ("changed", "values", "expansions", "borders", "pairs", "joined")
"""By reading: code points that do not fold to themselves ascending, what they fold to, and the other tables."""

Arrays = dict[str, npt.NDArray[Any]]


def sources() -> str:
    """Digest of the files that the tables are made from."""
    digest = hashlib.sha256()
    for name in SOURCES:
        # Line ends may change on the way through version control.
        digest.update((HOME / name).read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


@lru_cache(maxsize=1)
def _stored() -> Arrays:
    try:
        with np.load(FILE, allow_pickle=False) as stored:
            if str(stored["sources"]) != sources():
                return {}
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        # Missing, as in a checkout half way, or damaged: the tables can always be made.
        return {}


def stored(reading: str) -> Arrays | None:
    """Return the stored arrays of a reading by the names of ``PARTS``; None where they must be made."""
    found = _stored()
    try:
        return {part: found[f"{reading}.{part}"] for part in PARTS}
    except KeyError:
        return None


def main() -> None:
    """Make all tables and write them."""
    from detectors.normalise.steps import ALL_STEPS
    from detectors.normalise.tables.fold import POINTS, Reading, make_table

    arrays: Arrays = {"sources": np.array(sources())}
    for reading in Reading:
        table = make_table(ALL_STEPS, reading)
        changed = np.flatnonzero(table.points != np.arange(POINTS, dtype=np.uint32)).astype(np.uint32)
        made: tuple[npt.NDArray[Any], ...] = (
            changed,
            table.points[changed],
            table.expansions,
            table.borders,
            table.pairs,
            table.joined,
        )
        arrays |= {f"{reading}.{part}": array for part, array in zip(PARTS, made, strict=True)}
    np.savez_compressed(FILE, allow_pickle=False, **arrays)
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
