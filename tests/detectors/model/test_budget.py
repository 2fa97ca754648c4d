"""Thresholds from a budget: never more tickets than there is time for, the surest first, nothing dropped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.model.budget import Reviewed, plan_queue
from detectors.model.errors import TrainingDataError


def past(rows: list[tuple[str, float, int]], days: float = 1.0) -> Reviewed:
    return Reviewed(
        np.array([r[0] for r in rows], dtype=np.str_),
        np.array([r[1] for r in rows], dtype=np.float64),
        np.array([r[2] for r in rows], dtype=np.int8),
        days,
    )


def test_the_surest_scores_come_first() -> None:
    rows = [("fraud", n / 100, int(n >= 60)) for n in range(100)] + [("abuse", n / 100, 0) for n in range(100)]
    fraud = next(p for p in plan_queue(past(rows), 40) if p.category == "fraud")
    abuse = next(p for p in plan_queue(past(rows), 40) if p.category == "abuse")
    assert 0.55 <= fraud.threshold <= 0.65
    assert fraud.precision > 0.8
    assert abuse.threshold > 1
    assert abuse.tickets == 0
    assert abuse.sampled == 100


@settings(max_examples=80)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from([k / 20 for k in range(21)]), st.integers(-1, 1)),
        min_size=1,
        max_size=300,
    ),
    st.floats(0, 400),
    st.sampled_from([0.5, 1.0, 30.0]),
)
def test_the_budget_holds_and_nothing_is_lost(rows: list[tuple[str, float, int]], budget: float, days: float) -> None:
    plans = plan_queue(past(rows, days), budget)
    assert sum(p.tickets for p in plans) <= budget + 0.05
    assert sum(p.tickets + p.sampled for p in plans) == pytest.approx(len(rows) / days, abs=0.05)
    for p in plans:
        above = sum(1 for c, s, _ in rows if c == p.category and s >= p.threshold)
        assert above / days == pytest.approx(p.tickets, abs=0.01)


def test_room_for_all_takes_all() -> None:
    (plan,) = plan_queue(past([("a", 0.4, -1), ("a", 0.9, 1)]), 10)
    assert plan.threshold == 0.4
    assert plan.sampled == 0


def test_what_makes_no_sense_is_refused() -> None:
    for rows, budget, days in (([], 5, 1), ([("a", 0.5, 1)], -1, 1), ([("a", 0.5, 1)], 5, 0)):
        with pytest.raises(TrainingDataError):
            plan_queue(past(rows, days), budget)
