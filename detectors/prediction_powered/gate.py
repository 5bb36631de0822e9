"""When a proxy helps, and the result that all prediction-powered estimates share.

A tuned proxy weight is itself estimated: with a weak proxy and few labels that costs more than the proxy gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Bools, Floats, require_fraction


class Gate(IntEnum):
    """Which estimate was used."""

    PREDICTION_POWERED = 0
    LABELS_ALONE = 1
    """The proxy is too weak for this many labels: the plain or the Hajek mean, proxy weight 0."""
    NO_LABELS = 2
    """Fewer than two labels, or no decisions to average the proxy over: NaN."""


@dataclass(frozen=True, slots=True, eq=False)
class PredictionPowered:
    """Arrays of one shape, a series each; NaN with the gate's NO_LABELS.

    `proxy_weight` is the lambda used (0: labels alone), `correlation` that of labels and proxy among the labelled (NaN
    if either is constant), `effective_n` the labels with which labels alone would have this variance, `gate` `Gate`s.

    Sums of squares hold a spread only down to their own rounding: some 1e-8 sqrt(n) of the mean. Of labels or proxies
    that vary less `correlation` is NaN, as if they were constant. So are `variance` and `effective_n`, unless all are
    numbers within [0, 1]: take a usual amount off y and f before they are summed up.
    """

    estimate: Floats
    variance: Floats
    proxy_weight: Floats
    correlation: Floats
    effective_n: Floats
    gate: npt.NDArray[np.int64]


def proxy_helps(correlation: npt.ArrayLike, labels: npt.ArrayLike, *, confidence: float = 0.9) -> Bools:
    """Whether a tuned proxy lowers the error: the lower confidence limit of rho exceeds 1 / sqrt(n - 2).

    For Gaussian data and a large unlabelled set the tuned estimate beats the plain mean exactly if |rho| > 1/sqrt(n-2).
    The measured rho has an error of about that size: comparing it directly lets a useless proxy pass in one of six
    windows. So the limit tanh(atanh(rho) - z / sqrt(n - 3)) (Fisher, one-sided) is compared. A negative rho never
    passes: the weight of the proxy is kept within [0, 1]. False for NaN and n <= 4. With unequal weights give an
    effective n. Simulated on Gaussian data (n 30 to 400, rho 0 to .6) choosing on the same labels costs intervals at
    most 1 point of coverage in 95; a rho of 0 passes in 1 %, one of .3 in 27 % at n = 30 and in 80 % at n = 100.

    Source: arXiv 2505.20178 (threshold); Fisher 1921 (limit). Raises ValueError for a confidence outside (0, 1) and for
    correlations outside [-1, 1].

    >>> proxy_helps([0.3, 0.3, 0.6, -0.9], [20, 400, 50, 50]).tolist()
    [False, True, True, False]
    """
    require_fraction("confidence", confidence)
    rho, n = np.broadcast_arrays(np.asarray(correlation, dtype=np.float64), np.asarray(labels, dtype=np.float64))
    wrong = rho[np.abs(rho) > 1.0]
    if wrong.size:
        raise ValueError(f"correlation: found {float(wrong[0])!r}, allowed are numbers within [-1, 1] and NaN")
    enough = n > 4
    size = np.where(enough, n, 5.0)
    inside = np.clip(rho, -1 + 1e-15, 1 - 1e-15)
    limit = np.tanh(np.arctanh(inside) - scipy.special.ndtri(confidence) / np.sqrt(size - 3.0))
    helps: Bools = enough & (limit > 1.0 / np.sqrt(size - 2.0))
    return helps


def gated(best: Floats, correlation: Floats, labels: Floats, *, clip: bool, confidence: float | None) -> Floats:
    """The tuned weight `best`, within [0, 1] if `clip`, and 0 where the proxy does not help at `confidence`."""
    weight = np.clip(best, 0.0, 1.0) if clip else best
    if confidence is None:
        return weight
    return np.where(proxy_helps(correlation, labels, confidence=confidence), weight, 0.0)


def rounding(terms: npt.ArrayLike, squares: Floats) -> Floats:
    """What a centred sum of squares may be by rounding alone, where so many `terms` have this sum of `squares`."""
    return np.asarray(np.finfo(np.float64).eps * (np.asarray(terms) + 8.0) * squares)


def shares(total: Floats, squares: Floats) -> Bools:
    """Whether the sums are as those of numbers within [0, 1], whose variances rounding changes by 1e-13 at most."""
    return np.asarray(squares <= total)


def require_proxy_weight(weight: float) -> float:
    """`weight` if it is within [0, 1]."""
    if not 0.0 <= weight <= 1.0:
        raise ValueError(f"proxy_weight: got {weight!r}, allowed is 0 <= proxy_weight <= 1, or None to tune it")
    return weight


def result(
    known: Bools, estimate: Floats, variance: Floats, *, weight: Floats, correlation: Floats, effective_n: Floats
) -> PredictionPowered:
    """The result, undefined where not `known`."""
    gate = np.where(weight != 0, Gate.PREDICTION_POWERED, Gate.LABELS_ALONE)
    return PredictionPowered(
        estimate=np.where(known, estimate, np.nan),
        variance=np.where(known, variance, np.nan),
        proxy_weight=np.where(known, weight, np.nan),
        correlation=np.where(known, correlation, np.nan),
        effective_n=np.where(known, effective_n, 0.0),
        gate=np.where(known, gate, Gate.NO_LABELS).astype(np.int64),
    )
