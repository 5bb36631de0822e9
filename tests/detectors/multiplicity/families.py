"""Families of hypotheses with known truth: overlapping segments, and the worst dependence there is."""

import numpy as np
from numpy.typing import NDArray

CELLS = (6, 5, 4)
MARGINS = ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))


def overlapping_segments(
    rng: np.random.Generator, *, runs: int, policies_changed: int, shift: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Standard normal statistics (runs, 210) of 6 policies x 5 regions x 4 languages and of all their margins, which
    share the data of the cells; the cells of some policies are shifted. And which of the 210 are true nulls."""
    cell = rng.standard_normal((runs, *CELLS))
    cell[:, :policies_changed] += shift
    unchanged = np.broadcast_to((np.arange(CELLS[0]) >= policies_changed)[:, None, None], CELLS)
    statistics, null = [], []
    for summed in MARGINS:
        size = np.prod([CELLS[axis] for axis in summed], initial=1.0)
        margin = cell.sum(axis=tuple(axis + 1 for axis in summed)) / np.sqrt(size)
        statistics.append(margin.reshape(runs, -1))
        null.append(unchanged.all(axis=summed).ravel())
    return np.concatenate(statistics, axis=1), np.concatenate(null)


def worst_dependence(rng: np.random.Generator, *, runs: int, size: int, alpha: float) -> NDArray[np.float64]:
    """Uniform p-values (runs, size) of true nulls for which Benjamini-Hochberg errs as often as it ever can.

    With probability alpha / k exactly k of them lie within ((k - 1) alpha / size, k alpha / size], for each k, and the
    rest above alpha (Guo and Rao 2008, J. Stat. Planning and Inference 138:3176-3188).
    """
    k = np.searchsorted(np.cumsum(alpha / np.arange(1, size + 1)), rng.random(runs))[:, None] + 1
    k = np.where(k > size, 0, k)
    chosen = rng.random((runs, size)).argsort(axis=1) < k
    small = (k - rng.random((runs, size))) * alpha / size
    return np.where(chosen, small, alpha + (1 - alpha) * rng.random((runs, size)))


def false_discovery_rate(rejected: NDArray[np.bool_], null: NDArray[np.bool_]) -> float:
    """Mean over runs of false / all discoveries, 0 where there are none; `rejected` (runs, hypotheses)."""
    return float(np.mean((rejected & null).sum(axis=-1) / np.maximum(rejected.sum(axis=-1), 1)))
