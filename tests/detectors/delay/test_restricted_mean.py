"""The restricted mean against plain means where nothing is censored, known truth where much is, and hand counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.delay import restricted_mean


@given(delays=st.lists(st.integers(0, 12), min_size=1), limit=st.integers(0, 10))
def test_without_censoring_it_is_the_mean_of_the_delays_cut_at_the_limit(delays: list[int], limit: int) -> None:
    events = np.bincount(delays, minlength=13)

    found = restricted_mean(events, np.zeros(13), limit=limit)

    assert np.minimum(delays, limit).mean() == pytest.approx(found.item())


def test_censored_delays_count_for_as_long_as_they_were_seen() -> None:
    rng = np.random.default_rng(1)
    delays = np.minimum(rng.geometric(1 / 60, size=40_000) - 1, 400)
    last = np.minimum(rng.integers(20, 300, size=40_000), 201) - 1
    seen = delays <= last
    truth = 59 * (1 - (1 - 1 / 60) ** 200)  # sum over t < 200 of (59/60)^(t + 1)

    found = restricted_mean(
        np.bincount(delays[seen], minlength=201), np.bincount(last[~seen], minlength=201), limit=200
    )

    assert truth == pytest.approx(found.item(), rel=0.015)
    assert delays[seen].mean() < 0.8 * truth


def test_it_is_not_known_where_nobody_was_followed_to_the_limit() -> None:
    events, censored = [[0, 1, 0, 0], [0, 2, 0, 0], [0, 1, 0, 0]], [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]

    np.testing.assert_array_equal([np.nan, 1.0, 1.0 + 0.5 + 0.5], restricted_mean(events, censored, limit=3))
    np.testing.assert_array_equal([1.5, 1.0, 1.5], restricted_mean(events, censored, limit=2))


def test_without_bins_it_is_not_known() -> None:
    np.testing.assert_array_equal(np.nan, restricted_mean([], []))
    np.testing.assert_array_equal([np.nan, np.nan], restricted_mean(np.zeros((2, 0)), np.zeros((2, 0)), limit=0))


def test_sums_of_many_series_give_the_means_of_each() -> None:
    rng = np.random.default_rng(2)
    events, censored = rng.integers(0, 9, size=(2, 5, 12))

    together = restricted_mean(events, censored, limit=7)

    assert together.tolist() == [restricted_mean(d, c, limit=7).item() for d, c in zip(events, censored, strict=True)]


@pytest.mark.parametrize(
    ("events", "censored", "limit", "says"),
    [
        ([1.0, -1.0], [0.0, 0.0], None, r"events: found -1.0 at position 1"),
        ([1.0, 0.0], [0.0, float("nan")], None, r"censored: found nan at position 1"),
        ([1.0, 0.0], [0.0], None, "allowed are equal bins"),
        ([1.0, 0.0], [0.0, 0.0], 3, r"limit: got 3, allowed are whole numbers within \[0, 2\]"),
        ([1.0, 0.0], [0.0, 0.0], 1.5, r"limit: got 1.5, allowed are whole numbers within \[0, 2\]"),
        ([1.0, 0.0], [0.0, 0.0], float("nan"), r"limit: got nan"),
    ],
)
def test_what_makes_no_sense_is_refused(
    events: list[float], censored: list[float], limit: float | None, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        restricted_mean(events, censored, limit=limit)  # type: ignore[arg-type]
