"""Crossings against sums cell by cell."""

import itertools
import tracemalloc

import numpy as np
import pytest

from detectors.attribution import Cells, Dimension, Role, cells, window_sums
from detectors.attribution.crossings import crossings

AXES = (
    Dimension("policy", ("hate", "spam", "nudity")),
    Dimension("language", ("en", "pt")),
    Dimension("model", ("v1", "v2"), Role.VERSION),
)
CODES = np.array([code for code in itertools.product(range(3), range(2), range(2)) if code != (2, 1, 1)])


def some_cells() -> Cells:
    sums = window_sums(np.arange(1.0, 12.0), np.ones(11))
    return cells(AXES, CODES, reference=sums, current=sums)


def test_every_crossing_that_occurs_is_there_once_with_the_sum_of_its_cells() -> None:
    both = some_cells()

    found = crossings(both)

    segments = [found.segment(row) for row in range(len(found.values))]
    assert len(segments) == len(set(segments)) == 1 + 7 + (6 + 6 + 4) + 11
    for segment, total in zip(segments, found.sums(both.current.positive)[0], strict=True):
        inside = np.all(
            [
                CODES[:, at] == axis.values.index(dict(segment)[axis.name])
                for at, axis in enumerate(AXES)
                if axis.name in dict(segment)
            ],
            axis=0,
        )
        assert total == (both.current.positive * inside).sum()


def test_sums_by_stratum_add_up_to_sums() -> None:
    both = some_cells()
    found = crossings(both, strata=CODES[:, 2])

    apart = found.sums_by_stratum(both.current.positive, both.current.negative)

    np.testing.assert_allclose(apart.sum(axis=2), found.sums(both.current.positive, both.current.negative))
    assert [36.0, 30.0] == apart[0, 0].tolist()


def test_a_segment_without_its_version_is_the_row_of_the_rest() -> None:
    found = crossings(some_cells())

    for row, wider in enumerate(found.without(Role.VERSION)):
        assert tuple(pair for pair in found.segment(row) if pair[0] != "model") == found.segment(int(wider))


def test_an_order_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="order: got 0, allowed is at least 1"):
        crossings(some_cells(), order=0)


def wide_cells(dimensions: int, values: int) -> Cells:
    """Thirty cells anywhere in very many combinations of values."""
    axes = [
        Dimension(f"d{place}", tuple(map(str, range(values))), Role.VERSION if place == 0 else Role.SEGMENT)
        for place in range(dimensions)
    ]
    codes = np.random.default_rng(61).integers(0, values, (30, dimensions))
    sums = window_sums(np.arange(1.0, 31.0), np.ones(30))
    return cells(axes, codes, reference=sums, current=sums)


def test_memory_follows_the_cells_and_not_the_combinations_of_values() -> None:
    both = wide_cells(3, 2000)
    tracemalloc.start()

    found = crossings(both)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Three dimensions of 2000 values have 8e9 combinations; thirty cells have at most 30 crossings of each order.
    assert peak < 5e6
    assert len(found.values) == 1 + sum(
        len(np.unique(both.codes[:, chosen], axis=0))
        for size in (1, 2, 3)
        for chosen in itertools.combinations(range(3), size)
    )


@pytest.mark.parametrize(("dimensions", "values"), [(13, 30), (40, 8)])
def test_more_combinations_than_integers_are_no_obstacle(dimensions: int, values: int) -> None:
    found = crossings(wide_cells(dimensions, values), order=2)

    wider = found.without(Role.VERSION)
    for row in range(0, len(wider), 7):
        assert tuple(pair for pair in found.segment(row) if pair[0] != "d0") == found.segment(int(wider[row]))
