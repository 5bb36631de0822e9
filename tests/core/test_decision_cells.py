"""The compiled sums of decisions are those of the arrays, whatever the rows; and what is usual, it sums."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.decision_cells import SUMS_PER_ROW, decision_cells, series_met
from monitor.layout import ACTIONS, LATENCY_EDGES, Layout
from monitor.rows import DecisionRows, Ints, no_decisions
from monitor.summarise import MINUTE_MS, Cells, summarise
from tests.core.runs import LAYOUT, PLAIN
from tests.core.strategies import T0, examples, seeds

LAYOUTS = (PLAIN, Layout(thresholds=(0.3141, 0.975001)))
SERIES = 9


def rows_of(rng: np.random.Generator, count: int, *, layout: Layout, minutes: int = 3, keys: int = 40) -> DecisionRows:
    """Random rows, many of them on the edges of bins, from the first minute on to the last."""
    score = np.where(rng.random(count) < 0.5, rng.choice([0.0, *layout.score_edges, 1.0], count), rng.random(count))
    latency = np.where(rng.random(count) < 0.5, rng.choice([0.0, *LATENCY_EDGES], count), rng.lognormal(0, 3, count))
    latency[rng.random(count) < 0.2] = np.nan
    occurred = T0 * 1000 + rng.integers(0, minutes * MINUTE_MS, count)
    return DecisionRows(
        timestamp_ms=occurred,
        occurred_ms=occurred,
        key=rng.integers(0, keys, count),
        id_hash=rng.integers(0, 2**63, count).astype(np.uint64),
        column=rng.integers(0, len(ACTIONS), count),
        score=score,
        latency=latency,
        sampled=np.zeros(count, dtype=np.bool_),
        features=None,
    )


def both(rows: DecisionRows, series_of: Ints, layout: Layout) -> tuple[Cells | None, Cells]:
    """By the loop and by arrays."""
    used = series_met(rows, series_of, SERIES)
    place = np.full(SERIES, -1, dtype=np.int64)
    place[used] = np.arange(len(used))
    looped = decision_cells(rows, series_of, place, len(used), layout)
    return looped, summarise(rows, place[series_of[rows.key].T], None, layout)


def same(one: Cells, other: Cells) -> bool:
    """Whether two say the same in the same bytes."""
    return (
        one.series.tolist() == other.series.tolist()
        and one.minute.tolist() == other.minute.tolist()
        and (one.cohort, one.arrival) == (other.cohort, other.arrival)
    )


@examples(150)
@given(seed=seeds, count=st.integers(1, 400), layout=st.sampled_from(LAYOUTS), kinds=st.integers(1, 4))
def test_they_are_those_of_the_arrays(seed: int, count: int, layout: Layout, kinds: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rows_of(rng, count, layout=layout)
    with patch("monitor.decision_cells.SUMS_PER_ROW", new=2**40):
        looped, by_arrays = both(rows, rng.integers(0, SERIES, (40, kinds)), layout)

    assert looped is not None
    assert same(looped, by_arrays)


def test_what_is_usual_is_summed_in_one_pass() -> None:
    rng = np.random.default_rng(1)
    looped, by_arrays = both(rows_of(rng, 500, layout=PLAIN), rng.integers(0, SERIES, (40, 4)), PLAIN)

    assert looped is not None
    assert same(looped, by_arrays)


@pytest.mark.parametrize("why", ["no rows", "features", "minutes", "no compiler"])
def test_what_is_not_is_left_to_the_arrays(why: str) -> None:
    rng = np.random.default_rng(2)
    minutes = 20 * SUMS_PER_ROW if why == "minutes" else 1
    rows = no_decisions() if why == "no rows" else rows_of(rng, 100, layout=PLAIN, minutes=minutes)
    with patch("monitor.decision_cells.COMPILED", new=why != "no compiler"):
        looped, by_arrays = both(rows, rng.integers(0, SERIES, (40, 2)), LAYOUT if why == "features" else PLAIN)

    assert looped is None
    assert (why == "no rows") == (len(by_arrays.series) == 0)


@examples(30)
@given(seed=seeds)
def test_series_are_met_with_and_without_a_compiler(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, series_of = rows_of(rng, 5, layout=PLAIN), rng.integers(0, SERIES, (40, 2))
    expected = sorted({int(series) for key in rows.key for series in series_of[key]})

    assert expected == series_met(rows, series_of, SERIES)
    with patch("monitor.decision_cells.COMPILED", new=False):
        assert expected == series_met(rows, series_of, SERIES)
