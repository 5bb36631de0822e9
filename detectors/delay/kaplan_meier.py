"""Kaplan-Meier estimate of the share of decisions still without a label, and so of the matured share.

It knows one kind of label. Where labels of several kinds compete (overturned and upheld), 1 - S of one kind with the
others as censored overstates its share: use `aalen_johansen`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Floats, require_fraction
from detectors.delay.exits import require_axes, require_squares_of_all, squared
from detectors.intervals import wilson


@dataclass(frozen=True, slots=True, eq=False)
class KaplanMeier:
    """All of shape (..., bins): values at the end of each bin. `survival` is the share still waiting, S(t).

    NaN where nobody was left at risk while some had not got a label: the tail is not known, not flat. `variance` and
    the interval are those of S; `matured` is 1 - S.
    """

    survival: Floats
    variance: Floats
    lower: Floats
    upper: Floats
    at_risk: Floats

    @property
    def matured(self) -> Floats:
        """The share of labels that arrive within each bin's delay."""
        return 1.0 - self.survival


def kaplan_meier(
    events: npt.ArrayLike,
    censored: npt.ArrayLike,
    *,
    square_events: npt.ArrayLike | None = None,
    square_censored: npt.ArrayLike | None = None,
    confidence: float = 0.95,
    transform: Literal["log-log", "arcsine"] = "log-log",
) -> KaplanMeier:
    """S(t) = prod over bins up to t of (1 - d_j / r_j), with Var S = S^2 sum d_j / (r_j (r_j - d_j)) (Greenwood).

    `events` (d) and `censored` are (..., bins), sums over decisions by delay bin; r_j is all that leave in bin j or
    later. With sampling weights pass sums of w and, as squares, of w^2: the variance is then that of the influence
    function, sum w^2 (dS/dw)^2, which needs no assumption on how weights and delays go together and equals Greenwood's
    for w = 1. `exits_from_observations` and `exits_from_cohorts` make the sums.

    Interval: S^exp(+-z se / (S |log S|)), or sin^2(arcsin sqrt S +- z se / (2 sqrt(S (1 - S)))). While no label came
    (S = 1) neither has a width, and the lower limit is Wilson's for the effective number at risk. NaN at S = 0.

    Assumes that the age at which a decision is last seen says nothing of its delay (so: delays do not drift).
    Source: Kaplan and Meier 1958, JASA 53; Greenwood 1926; Borgan and Liestol 1990, Scand. J. Statist. 17.
    Raises ValueError for sums that are negative or not finite, for shapes that differ, and for squares of only one of
    the two or of 0 where the sum is not.

    >>> found = kaplan_meier([3, 1, 0, 1], [1, 0, 1, 1])
    >>> found.survival.round(3).tolist(), found.variance.round(4).tolist()
    ([0.625, 0.469, 0.469, 0.234], [0.0293, 0.0348, 0.0348, 0.0362])
    >>> found.lower.round(3).tolist()
    [0.229, 0.12, 0.12, 0.013]
    """
    require_fraction("confidence", confidence)
    require_squares_of_all(square_events=square_events, square_censored=square_censored)
    d, d2 = squared("events", events, square_events)
    c, c2 = squared("censored", censored, square_censored)
    require_axes("events", d, "bins")
    if d.shape[-1:] != c.shape[-1:]:
        raise ValueError(f"events has bins {d.shape[-1:]} and censored {c.shape[-1:]}, allowed are equal bins")
    at_risk, at_risk2 = from_here_on(d + c), from_here_on(d2 + c2)
    survival = product_limit(d, at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard, jump = influence_on_log_survival(d, at_risk)
        left = np.cumsum(d2 * (hazard - jump) ** 2 + c2 * hazard**2, axis=-1)
        # Zero times infinity where the last decisions at risk got their label: there the variance is undefined.
        variance = survival**2 * (left + hazard**2 * (at_risk2 - d2 - c2))
    variance = np.where(np.isnan(survival), np.nan, variance)
    lower, upper = _limits(survival, variance, confidence, transform)
    with np.errstate(invalid="ignore"):
        sure = np.where(at_risk > 0, at_risk**2 / np.where(at_risk2 > 0, at_risk2, 1.0), 0.0)
    untouched = survival == 1.0
    return KaplanMeier(
        survival=survival,
        variance=variance,
        lower=np.where(untouched, wilson(sure, sure, confidence=confidence).lower, lower),
        upper=np.where(untouched, 1.0, upper),
        at_risk=at_risk,
    )


def from_here_on(values: Floats) -> Floats:
    """Sums over this bin and all later ones.

    >>> from_here_on(np.array([1.0, 2.0, 3.0])).tolist()
    [6.0, 5.0, 3.0]
    """
    return np.cumsum(values[..., ::-1], axis=-1)[..., ::-1]


def product_limit(events: Floats, at_risk: Floats) -> Floats:
    """S(t) at the end of each bin (..., bins); NaN where nobody was left at risk while some had not got a label.

    >>> product_limit(np.array([1.0, 0.0, 0.0]), np.array([4.0, 2.0, 0.0])).tolist()
    [0.75, 0.75, nan]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        # Exactly 0 where all that are left get their label, which d * (1 / r) need not give.
        stays = np.where(at_risk > 0, 1.0 - events / at_risk, 1.0)
    survival: Floats = np.cumprod(stays, axis=-1, dtype=np.float64)
    return np.where((at_risk > 0) | (survival == 0.0), survival, np.nan)


def influence_on_log_survival(events: Floats, at_risk: Floats) -> tuple[Floats, Floats]:
    """How one decision's weight moves log S(t): by H(min(x, t)), less J(x) if it got its label in bin x <= t.

    H = cumulative sum of d / (r (r - d)), Greenwood's sum, J = 1 / (r - d). Infinite where r = d > 0, 0 where r = 0.

    >>> influence_on_log_survival(np.array([1.0, 1.0]), np.array([4.0, 2.0]))[0].round(4).tolist()
    [0.0833, 0.5833]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = at_risk - events
        return (
            np.cumsum(np.where(events > 0, events / (at_risk * rest), 0.0), axis=-1),
            np.where(events > 0, 1.0 / rest, 0.0),
        )


def _limits(survival: Floats, variance: Floats, confidence: float, transform: str) -> tuple[Floats, Floats]:
    z = scipy.special.ndtri(0.5 + 0.5 * confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(variance)
        if transform == "log-log":
            power = np.exp(z * error / (survival * -np.log(survival)))
            return survival**power, survival ** (1.0 / power)
        if transform == "arcsine":
            centre, half = np.arcsin(np.sqrt(survival)), 0.5 * z * error / np.sqrt(survival * (1.0 - survival))
            return np.sin(np.maximum(centre - half, 0.0)) ** 2, np.sin(np.minimum(centre + half, 0.5 * np.pi)) ** 2
    raise ValueError(f"transform: got {transform!r}, allowed are 'log-log' and 'arcsine'")
