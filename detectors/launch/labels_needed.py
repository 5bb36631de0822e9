"""Labels that a launch comparison needs until it decides, beside the tests with a sample size fixed in advance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import finite, fractions, nonnegative, require_fraction
from detectors.launch.contrast import Contrast
from detectors.launch.evidence import Design, payoffs


@dataclass(frozen=True, slots=True)
class LabelsNeeded:
    """Labels until an e-value crosses: mean, and the number enough with the probability asked for.

    Infinite where no bet grows: the alternative is not separated from the hypothesis. `bet` is the fraction
    quickest on average.
    """

    mean: float
    enough: float
    bet: float


def labels_needed(
    share: npt.ArrayLike,
    contrast: Contrast,
    *,
    design: Design,
    difference: float,
    above: bool,
    alpha: float = 0.05,
    power: float = 0.9,
) -> LabelsNeeded:
    """Labels until `log_e_value(..., difference, above)` reaches ln(1 / alpha), if decisions fall as `share` says.

    `share` (6 strata + 1,) are the expected counts (any scale) of the kinds in `Outcomes`, row by row, then of `both`.
    The mixture is at least each bet's wealth over the number of bets, so bet b needs ln(bets / alpha) / E[ln(1 + b g)]
    decisions on average (Wald); `enough` adds the normal quantile of the random walk. Both figures are those of the bet
    best for them: cautious, since neighbours win too, but for the overshoot. Design with `bets=(bet,)` to bet on the
    plan alone (growth-rate optimal; Grunwald, de Heide and Koolen, Safe testing, 2024): ln(bets) is saved, at the price
    of slow growth where the plan is wrong.

    Raises ValueError for shares that are negative, sum to 0 or are of another length, and for |difference| > reach.

    >>> plan = labels_needed([20, 20, 0, 30, 10, 0, 1960], Contrast((1.0,), (0.0,)), design=Design(), difference=0.0,
    ...     above=False)
    >>> round(plan.mean), round(plan.enough)
    (393, 829)
    """
    p = nonnegative("share", share)
    x, acts, bets = payoffs(contrast, design)
    if p.shape != acts.shape or not p.sum() > 0:
        raise ValueError(f"share: got shape {p.shape}, allowed is {acts.shape} with a sum above 0")
    if not abs(finite("difference", difference)) <= design.reach:
        raise ValueError(f"difference: got {difference!r}, allowed is at most the design's reach of {design.reach:g}")
    require_fraction("alpha", alpha)
    p = p / p.sum()
    per_label = p[:-1].reshape(-1, 6)[:, [0, 1, 3, 4]].sum()
    step = np.log1p((1.0 if above else -1.0) * bets[:, None, None] * (x - difference * acts))
    growth = (p * step).sum(axis=-1)
    worst = growth.argmin(axis=-1)[:, None]
    growth = np.take_along_axis(growth, worst, axis=-1)[:, 0]
    step = np.take_along_axis(step, worst[..., None], axis=1)[:, 0]
    deviation = np.sqrt((p * (step - growth[:, None]) ** 2).sum(axis=-1))
    threshold = np.log(len(bets) / alpha)
    z = scipy.special.ndtri(require_fraction("power", power))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(growth > 0, threshold / growth, np.inf)
        root = (z * deviation + np.sqrt((z * deviation) ** 2 + 4.0 * growth * threshold)) / (2.0 * growth)
        enough = np.where(growth > 0, root**2, np.inf)
    if not np.isfinite(mean.min()):  # no label decides, however few a decision brings
        return LabelsNeeded(mean=float("inf"), enough=float("inf"), bet=design.bets[int(mean.argmin())])
    return LabelsNeeded(
        mean=float(mean.min() * per_label), enough=float(enough.min() * per_label), bet=design.bets[int(mean.argmin())]
    )


def paired_labels_needed(
    challenger_rate: float, champion_rate: float, *, alpha: float = 0.05, power: float = 0.9, reference: float = 0.0
) -> float:
    """Labels of disagreements for a one-sided test looked at once: paired, as McNemar's, by normal theory.

    Rates are those of violating content where only the challenger and only the champion act, in equal numbers. Each
    label scores s (y - `reference`); for precision the reference is the champion's. n = (z_alpha sqrt(m2) + z_beta
    sqrt(m2 - m^2))^2 / m^2 with m and m2 the score's mean and second moment. Infinite where the rates are the same.
    Raises ValueError for a rate or a reference outside [0, 1].

    >>> round(paired_labels_needed(0.6, 0.8, reference=0.95))
    230
    """
    rates = fractions("challenger_rate, champion_rate", [challenger_rate, champion_rate])
    fractions("reference", reference)
    mean = 0.5 * (challenger_rate - champion_rate)
    second = float(np.mean(rates * (1.0 - reference) ** 2 + (1.0 - rates) * reference**2))
    return _fixed(mean, second, second - mean**2, alpha=alpha, power=power)


def two_sample_labels_needed(precision: float, other: float, *, alpha: float = 0.05, power: float = 0.9) -> float:
    """Labels, both samples together, for a one-sided test of two independent random audits looked at once.

    n a side = (z_alpha sqrt(2 p (1 - p)) + z_beta sqrt(p1 (1 - p1) + p2 (1 - p2)))^2 / (p1 - p2)^2, p the mean of both
    (Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, 2003, without continuity correction).
    Infinite where both are the same. Raises ValueError for a precision outside [0, 1].

    >>> round(two_sample_labels_needed(0.95, 0.94))
    17800
    """
    fractions("precision, other", [precision, other])
    middle = 0.5 * (precision + other)
    spread = precision * (1.0 - precision) + other * (1.0 - other)
    return 2.0 * _fixed(precision - other, 2.0 * middle * (1.0 - middle), spread, alpha=alpha, power=power)


def _fixed(mean: float, null_variance: float, variance: float, *, alpha: float, power: float) -> float:
    if mean == 0:
        return float("inf")
    z_alpha = -float(scipy.special.ndtri(require_fraction("alpha", alpha)))
    z_beta = float(scipy.special.ndtri(require_fraction("power", power)))
    # Not above 0 where alpha alone has the power.
    return float(max(z_alpha * null_variance**0.5 + z_beta * variance**0.5, 0.0) ** 2 / mean**2)
