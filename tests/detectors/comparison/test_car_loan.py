"""Distances on NannyML's synthetic car-loan data (Apache-2.0), to the digits that NannyML prints for them.

The reference has 50 000 rows, a chunk 5000. NannyML computes the Kolmogorov-Smirnov distance of so many rows on 10 000
equal bins between the extremes of the reference. The two files hold counts over these bins, joined to the fewest that
lose nothing: `last_bin` is the last of the 10 000 that a row holds, and a test below shows that no finer cut could be
further apart. Its Jensen-Shannon distance has the 24 equal bins of Doane's rule.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from detectors.arrays import Ints
from detectors.comparison import jensen_shannon, ks

# car_value in 24 equal bins from 10 011 to 109 564: the reference, chunk 0, chunk 5.
# fmt: off
VALUES = np.array([
    [11676, 8359, 5630, 4209, 3311, 2576, 2023, 1831, 1607, 1351, 1198, 1013,
     877, 789, 674, 544, 509, 486, 365, 328, 267, 205, 118, 54],
    [1163, 843, 535, 428, 304, 267, 211, 167, 143, 155, 131, 100, 102, 80, 75, 68, 48, 47, 37, 33, 24, 19, 14, 6],
    [17, 129, 311, 359, 424, 407, 397, 399, 304, 310, 275, 286, 199, 195, 161, 164, 139, 128, 90, 90, 79, 88, 37, 12],
])
# fmt: on


class Table(NamedTuple):
    last_bin: Ints
    reference: Ints
    chunks: Ints
    """(chunk, row)"""


def read(name: str) -> Table:
    last_bin, reference, *chunks = np.loadtxt(Path(__file__).parent / name, delimiter=",", skiprows=1, dtype=np.int64).T
    return Table(last_bin, reference, np.array(chunks))


PUBLISHED = pytest.mark.parametrize(
    ("name", "published"),
    [
        ("car_value_bins.csv", [0.01308, 0.43530]),
        ("debt_to_income_bins.csv", [0.01576, 0.01268, 0.01734, 0.01280, 0.01918]),
    ],
)


@PUBLISHED
def test_kolmogorov_smirnov_distances_are_the_published_ones(name: str, published: list[float]) -> None:
    table = read(name)

    assert 50_000 == table.reference.sum()
    assert {5000} == set(table.chunks.sum(axis=1).tolist())
    assert published == ks(table.reference, table.chunks).statistic.round(5).tolist()


@PUBLISHED
def test_no_finer_cut_of_the_ten_thousand_bins_is_further_apart(name: str, published: list[float]) -> None:
    table = read(name)
    joined = np.diff(table.last_bin, prepend=0) > 1
    f = np.concatenate([[0], table.reference.cumsum()]) / 50_000
    g = np.concatenate([np.zeros((len(published), 1)), table.chunks.cumsum(axis=1)], axis=1) / 5000
    # Within a row both rise: the furthest apart they can be is one at its end while the other is at its start.
    possible = np.maximum(f[1:] - g[:, :-1], g[:, 1:] - f[:-1])[:, joined].max(axis=1)

    assert 10_000 == table.last_bin[-1]
    assert (possible <= ks(table.reference, table.chunks).statistic + 1e-12).all()


def test_jensen_shannon_distances_are_the_published_ones() -> None:
    assert [0.02619, 0.46476] == jensen_shannon(VALUES[0], VALUES[1:]).statistic.round(5).tolist()
