"""Inverse probability of censoring weights: what each label that came stands for, given that others could not yet.

Without covariates the weighted share of labels is exactly 1 - Kaplan-Meier. The weights are worth having because they
carry over to any average of labelled decisions, and multiply with sampling weights.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, nonnegative
from detectors.delay.exits import require_axes
from detectors.delay.kaplan_meier import from_here_on


def ipcw(events: npt.ArrayLike, censored: npt.ArrayLike) -> Floats:
    """1 / G(T-) by delay bin, (..., bins): the weight of a label that came in the bin.

    `events` and `censored` (..., bins) are counts, or sums of sampling weights, by delay bin; labels of all kinds count
    as events. G is the Kaplan-Meier estimate of the probability to be watched for longer than a delay. Within a bin
    labels come before decisions leave, hence G(T-): the label of bin j is weighted by the G of the bins before j, and
    the censored of bin j leave from the r_j - d_j without a label. NaN where nobody is at risk, and so no
    label is: sum with `nansum`.

    With n = all decisions, F_k(t) = (1 / n) sum over bins up to t of d_k * weight is `aalen_johansen` (and 1 -
    `kaplan_meier` with one kind). For a label sampled with probability pi give sums of 1 / pi here and use the weight
    1 / (pi G(T-)) for the label. Where censoring follows a stratum (region, queue), put strata on a leading axis.

    It corrects for age, not for what arrives first: among decisions of one age all weights G(age) are alike, and
    cancel in a share. Where violating labels come sooner than benign ones use `nowcast`.

    Source: Robins and Rotnitzky 1992; Satten and Datta 2001, The American Statistician 55.
    Raises ValueError for sums that are negative or not finite and for bins that differ.

    >>> weights = ipcw([3, 1, 0, 1], [1, 0, 1, 1])
    >>> weights.round(3).tolist(), (weights * [3, 1, 0, 1]).cumsum().round(3).tolist()
    ([1.0, 1.25, 1.25, 1.875], [3.0, 4.25, 4.25, 6.125])
    """
    d = nonnegative("events", events)
    c = nonnegative("censored", censored)
    require_axes("events", d, "bins")
    if d.shape[-1:] != c.shape[-1:]:
        raise ValueError(f"events has bins {d.shape[-1:]} and censored {c.shape[-1:]}, allowed are equal bins")
    at_risk = from_here_on(d + c)
    watched = at_risk - d
    with np.errstate(divide="ignore", invalid="ignore"):
        stays = (watched - c) / np.where(watched > 0, watched, 1.0)
        through = np.cumprod(np.where(watched > 0, stays, 1.0), axis=-1)
        before = np.concatenate([np.ones_like(through[..., :1]), through[..., :-1]], axis=-1)
        return np.where(at_risk > 0, 1.0 / before, np.nan)
