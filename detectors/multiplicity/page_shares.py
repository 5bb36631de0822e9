"""Sharing a budget of false pages among charts: so many a quarter for the team, a share of them for each chart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, nonnegative


def page_shares(
    budget: float,
    observations: npt.ArrayLike,
    *,
    weights: npt.ArrayLike = 1.0,
    shortest_run_length: float = 100.0,
) -> Floats:
    """False pages a period that each chart may have, (charts,), that add up to at most `budget`.

    `budget`: false pages a period (a quarter, say) that the team accepts of all charts. `observations` (charts,): how
    many each chart sees in a period, on average. Shares are in proportion to `weights` (1: the same for each chart),
    except that no chart gets more than observations / `shortest_run_length`: a chart that may alarm after a handful of
    observations says nothing. What such charts leave is shared among the others. A chart without observations gets 0.

    Expected pages add up whatever the dependence, so the charts may overlap (policy, region, language). The average
    run length that a share asks for is observations / share; `bernoulli_cusum_plan` and `e_detector_plan` go on.
    Raises ValueError for negative or non-finite numbers, a budget of 0, and a `shortest_run_length` below 1.

    >>> page_shares(6.0, [90_000, 4_000, 50, 0], shortest_run_length=100).tolist()
    [2.75, 2.75, 0.5, 0.0]
    """
    if not 0.0 < budget < np.inf:
        raise ValueError(f"budget: got {budget!r}, allowed are numbers > 0")
    if not 1.0 <= shortest_run_length < np.inf:
        raise ValueError(f"shortest_run_length: got {shortest_run_length!r}, allowed are numbers >= 1")
    seen = nonnegative("observations", observations)
    weight = np.broadcast_to(nonnegative("weights", weights), seen.shape)
    if seen.ndim != 1:
        raise ValueError(f"observations: got an array of shape {seen.shape}, allowed is (charts,)")
    most = np.where(weight > 0, seen / shortest_run_length, 0.0)
    share = np.zeros(len(seen))
    open_ = most > 0
    left = budget
    # Each round fixes the charts that would get more than they may; the rest gets more in the next round.
    while open_.any():
        asking = np.where(open_, weight, 0.0)
        asking /= asking.max()  # weights of any size: their sum neither overflows nor vanishes
        offered = left * (asking / asking.sum())
        full = offered > most
        if not full.any():
            share += offered
            break
        share[full] = most[full]
        left -= float(most[full].sum())
        open_ &= ~full
    return share


def delay_weights(
    observations: npt.ArrayLike, *, information: npt.ArrayLike = 1.0, importance: npt.ArrayLike = 1.0
) -> Floats:
    """Weights for `page_shares` that make the mean detection delay least: importance / (information observations).

    A chart finds its change after about ln(I average run length) / I observations, I the information of one: the
    Kullback-Leibler divergence of changed from unchanged (`bernoulli_information`). In time that is ln(I N / share) /
    (I N) periods, N `observations` a period; the sum over charts of `importance` times this, for given total shares, is
    least with shares in proportion to importance / (I N): false pages go where delay is slow. With shares capped as
    `page_shares` does it is the optimum too (a water-filling: the objective is convex and separable).

    What counts decides. `importance` 1, delays in hours count the same in each segment: segments with few labels get
    most of the pages. `importance` equal to the traffic, delays count by the decisions made meanwhile: if labels are in
    proportion to traffic and I is the same, shares are equal, which is why equal shares are a good default.

    Arrays of one shape (charts,) or numbers. A chart without observations has weight 0. Raises ValueError for negative
    numbers, and where `information` is 0.

    >>> delay_weights([1000, 10, 0]).tolist(), delay_weights([1000, 10], importance=[1000, 10]).tolist()
    ([0.001, 0.1, 0.0], [1.0, 1.0])
    """
    seen, known, value = np.broadcast_arrays(
        nonnegative("observations", observations),
        nonnegative("information", information),
        nonnegative("importance", importance),
    )
    if (known == 0).any():
        raise ValueError(
            "information: found 0.0, allowed are numbers > 0: a change that changes nothing is never found"
        )
    speed = seen * known
    weights: Floats = np.divide(value, speed, out=np.zeros(speed.shape), where=speed > 0)
    return weights
