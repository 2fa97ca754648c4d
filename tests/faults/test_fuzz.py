"""The fuzzer's targets take their seeds; the long run is ``make fuzz``."""

from __future__ import annotations

import pytest

from errors import LiucunError
from tests.faults.fuzz import TARGETS, seeds


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_are_well_formed_and_every_cut_of_them_is_refused(target: str) -> None:
    call, begin = seeds(target)
    for data in begin:
        call(data)
        for length in range(0, min(len(data), 100), 3):
            with pytest.raises(LiucunError):
                call(data[:length])
