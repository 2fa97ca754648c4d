"""The folding tables that ship are those that their sources make."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.normalise.steps import ALL_STEPS
from detectors.normalise.tables.fold import Reading, fold_table, make_table
from detectors.normalise.tables.shipped import stored

ARRAYS = ("points", "expansions", "borders", "signs", "pairs", "joined", "heads")


@pytest.mark.parametrize("reading", list(Reading))
def test_the_tables_that_ship_are_those_that_would_be_made(reading: Reading) -> None:
    assert stored(reading) is not None, "run `python -m detectors.normalise.tables.shipped`"
    shipped, made = fold_table(ALL_STEPS, reading), make_table(ALL_STEPS, reading)
    for name in ARRAYS:
        assert np.array_equal(getattr(shipped, name), getattr(made, name)), name
