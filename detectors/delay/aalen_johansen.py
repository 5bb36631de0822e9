"""Aalen-Johansen estimate of the share of decisions that get a label of each kind within each delay.

Overturned and upheld, violating and benign: labels of several kinds compete, and each decision gets one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats
from detectors.delay.exits import require_squares_of_all, squared
from detectors.delay.kaplan_meier import from_here_on, influence_on_log_survival, product_limit


@dataclass(frozen=True, slots=True, eq=False)
class AalenJohansen:
    """`incidence` F_k(t) and its `variance` are (..., causes, bins), `survival` S(t) and `at_risk` are (..., bins).

    Values at the end of each bin; the incidences of all causes and S sum to 1. NaN where nobody was left at risk while
    some had no label.
    """

    incidence: Floats
    variance: Floats
    survival: Floats
    at_risk: Floats


def aalen_johansen(
    events: npt.ArrayLike,
    censored: npt.ArrayLike,
    *,
    square_events: npt.ArrayLike | None = None,
    square_censored: npt.ArrayLike | None = None,
) -> AalenJohansen:
    """F_k(t) = sum over bins up to t of S(j - 1) d_kj / r_j, S the share that still waits (any kind of label ends it).

    `events` (..., causes, bins) and `censored` (..., bins) are sums over decisions by delay bin, or sums of sampling
    weights with their squares. The variance is that of the influence function, sum w^2 (dF/dw)^2: with weights of 1 it
    is p (1 - p) / n where nothing is censored, and Greenwood's with one cause.

    Assumes that the age at which a decision is last seen says nothing of its delay or its label. So decisions of
    different days must share one mix of labels: F_violating / (F_violating + F_benign) of old and new days pooled is
    precision only if precision has not moved. For a new window's own precision use `nowcast`.

    Source: Aalen and Johansen 1978, Scand. J. Statist. 5; Andersen, Borgan, Gill and Keiding 1993, section IV.4.
    Raises ValueError for sums that are negative or not finite, for shapes that differ, and for squares of only one of
    the two or of 0 where the sum is not.

    >>> found = aalen_johansen([[1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 1, 0]], [0, 0, 1, 0, 0, 1])
    >>> found.incidence[:, -1].round(6).tolist(), found.survival[-1].round(6).tolist()
    ([0.388889, 0.388889], 0.222222)
    """
    require_squares_of_all(square_events=square_events, square_censored=square_censored)
    d, d2 = squared("events", events, square_events)
    c, c2 = squared("censored", censored, square_censored)
    if d.ndim < 2 or d.shape[-1] != c.shape[-1]:
        raise ValueError(f"events {d.shape} and censored {c.shape}, allowed are (..., causes, bins) and (..., bins)")
    any_cause, any_cause2 = d.sum(axis=-2), d2.sum(axis=-2)
    at_risk, at_risk2 = from_here_on(any_cause + c), from_here_on(any_cause2 + c2)
    some = at_risk > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        per_decision = np.where(some, 1.0 / at_risk, 0.0)
    survival = product_limit(any_cause, at_risk)
    before = np.concatenate([np.ones_like(survival[..., :1]), survival[..., :-1]], axis=-1)
    share = (before * per_decision)[..., None, :]
    incidence = np.cumsum(share * d, axis=-1)

    hazard, jump = influence_on_log_survival(any_cause, at_risk)
    # No later incidence depends on who left in the bin that emptied the risk set.
    exhausted = (any_cause == at_risk) & some
    hazard, jump = (np.where(exhausted | (survival == 0.0), 0.0, part)[..., None, :] for part in (hazard, jump))
    hazard_before = np.concatenate([np.zeros_like(hazard[..., :1]), hazard[..., :-1]], axis=-1)
    stayed = np.cumsum(share * d * (hazard_before - per_decision[..., None, :]), axis=-1)
    censored2, own2 = c2[..., None, :], d2
    other2 = any_cause2[..., None, :] - d2
    variance = stayed**2 * (at_risk2 - any_cause2 - c2)[..., None, :]
    for square, start, slope in (
        (own2, stayed + share, hazard - jump),
        (other2, stayed, hazard - jump),
        (censored2, stayed, hazard),
    ):
        # An exit in bin x moves F(t), t >= x, by start(x) + (F(t) - F(x)) slope(x).
        fixed = start - incidence * slope
        variance = (
            variance
            + np.cumsum(square * fixed**2, axis=-1)
            + 2.0 * incidence * np.cumsum(square * fixed * slope, axis=-1)
            + incidence**2 * np.cumsum(square * slope**2, axis=-1)
        )
    known = ~np.isnan(survival)
    return AalenJohansen(
        incidence=np.where(known[..., None, :], incidence, np.nan),
        variance=np.where(known[..., None, :], np.maximum(variance, 0.0), np.nan),
        survival=survival,
        at_risk=at_risk,
    )
