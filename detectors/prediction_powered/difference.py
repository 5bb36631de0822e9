"""Difference estimate (AIPW, prediction-powered with unequal inclusion probabilities) of the mean over all decisions.

The proxy is summed over *all* decisions, labelled ones too. It must be fixed before the labels are seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, finite, mask, probabilities
from detectors.prediction_powered.gate import (
    PredictionPowered,
    gated,
    require_proxy_weight,
    result,
    rounding,
    shares,
)


@dataclass(frozen=True, slots=True, eq=False)
class ProxySums:
    """Sums over all decisions (count, f) and over labels of w = 1/pi and of w^2 times 1, y, f, yy, yf, ff; `+` adds."""

    decisions: Floats
    decisions_f: Floats
    labels: Floats
    w: Floats
    wy: Floats
    wf: Floats
    wyy: Floats
    wyf: Floats
    wff: Floats
    w2: Floats
    w2y: Floats
    w2f: Floats
    w2yy: Floats
    w2yf: Floats
    w2ff: Floats

    def __add__(self, other: ProxySums) -> ProxySums:
        return ProxySums(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


def proxy_sums_from_labels(
    y: npt.ArrayLike, f: npt.ArrayLike, *, inclusion_probability: npt.ArrayLike, labelled: npt.ArrayLike
) -> ProxySums:
    """`ProxySums` of decisions (..., N): `labelled` says which have a label; `y` of the others counts for nothing.

    >>> sums = proxy_sums_from_labels([1, 0, 0], [0.9, 0.2, 0.4], inclusion_probability=0.5, labelled=[1, 1, 0])
    >>> float(sums.decisions), float(sums.w), float(sums.wy)
    (3.0, 4.0, 2.0)
    """
    pi = probabilities("inclusion_probability", inclusion_probability)
    label, proxy, pi = np.broadcast_arrays(finite("y", y), finite("f", f), pi)
    label, proxy, pi, seen = np.broadcast_arrays(
        label, proxy, pi, mask("labelled", labelled, np.atleast_1d(label).shape[-1])
    )
    w = seen / pi
    moments = (np.ones_like(label), label, proxy, label * label, label * proxy, proxy * proxy)
    parts = (np.ones_like(label), proxy, seen, *(w * m for m in moments), *(w * w * m for m in moments))
    return ProxySums(*(np.asarray(np.sum(part, axis=-1), dtype=np.float64) for part in parts))


def difference(
    sums: ProxySums, *, proxy_weight: float | None = None, clip: bool = True, gate_confidence: float | None = 0.9
) -> PredictionPowered:
    """theta = lambda mean(f) + sum w (y - lambda f) / sum w, variance sum (1 - pi) (w (e - mean e))^2 / (sum w)^2.

    e = y - lambda f and mean e its weighted mean: the Hajek-centred form, so a proxy that is off by a constant costs
    nothing. `proxy_weight` 1 is the difference estimate (AIPW), 0 the Hajek mean, None takes the lambda that minimises
    the variance, sum v (y - mean y)(f - mean f) / sum v (f - mean f)^2 with v = w^2 - w, clipped to [0, 1] unless
    `clip` is false. With equal pi it is PPI++ on the same labels, whose lambda is smaller by 1 + n/N because its proxy
    mean leaves the labelled out. A tuned lambda falls back to 0 where `proxy_helps` says no for the v-weighted
    correlation on Kish's n. The variance is multiplied by n' / (n' - 1), and by n' / (n' - 2) with a tuned lambda, n'
    of Kish: the plug-in one is too small with few labels. It is that of the mean over these decisions; for the model's
    mean on more of the kind add theta (1 - theta) / N. It is 0 where all residuals agree, and NaN for amounts that are
    far from 0 beside their spread (`PredictionPowered`).

    `effective_n` is the spread of y by weight over the variance. Where lambda is 0 an interval is better taken from
    `hajek`. Assumes known pi > 0 for every decision, Poisson sampling, a proxy not trained on these labels.
    Source: Sarndal, Swensson and Wretman 1992, ch. 6; Robins, Rotnitzky and Zhao 1994; arXiv 2311.01453 (lambda).
    Raises ValueError for a `proxy_weight` outside [0, 1].

    >>> y, f, seen = [1, 0, 0, 1], [0.9, 0.2, 0.4, 0.8], [1, 1, 0, 1]
    >>> sums = proxy_sums_from_labels(y, f, inclusion_probability=0.5, labelled=seen)
    >>> round(float(difference(sums, proxy_weight=1.0).estimate), 4)
    0.6083
    """
    known = (sums.labels >= 2) & (sums.decisions >= 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_y, mean_f = sums.wy / sums.w, sums.wf / sums.w
        kish = sums.w**2 / sums.w2
        v, vy, vf = sums.w2 - sums.w, sums.w2y - sums.wy, sums.w2f - sums.wf
        vyy, vyf, vff = sums.w2yy - sums.wyy, sums.w2yf - sums.wyf, sums.w2ff - sums.wff
        spread_y = np.maximum(vyy - 2.0 * mean_y * vy + mean_y**2 * v, 0.0)
        spread_f = np.maximum(vff - 2.0 * mean_f * vf + mean_f**2 * v, 0.0)
        cross = vyf - mean_y * vf - mean_f * vy + mean_y * mean_f * v
        lost_y, lost_f = rounding(sums.labels, sums.w2yy), rounding(sums.labels, sums.w2ff)
        flat = spread_f <= lost_f
        likeness = np.clip(cross / np.sqrt(spread_f * spread_y), -1.0, 1.0)
        correlation = np.where(flat | (spread_y <= lost_y), np.nan, likeness)
        if proxy_weight is None:
            best = np.where(flat, 0.0, cross / spread_f)
            weight = gated(best, correlation, kish, clip=clip, confidence=gate_confidence)
        else:
            weight = np.full(np.shape(sums.w), require_proxy_weight(proxy_weight))
        lost = np.where((weight != 0) & (proxy_weight is None) & (kish > 2), 2.0, 1.0)
        small = np.where(kish > lost, kish / (kish - lost), np.nan)
        residual = np.maximum(spread_y - 2.0 * weight * cross + weight**2 * spread_f, 0.0)
        variance = np.where(residual > 0, small * residual, 0.0) / sums.w**2
        amounts = ~shares(sums.wy, sums.wyy) | (weight != 0) & ~shares(sums.wf, sums.wff)
        # Beside the spread of labels alone that of a perfect proxy is known to be next to nothing, and where all have a
        # label nothing is left to chance.
        unknown = amounts & (v != 0) & (np.maximum(residual, spread_y) <= lost_y + weight**2 * lost_f)
        variance = np.where(unknown, np.nan, variance)
        estimate = mean_y + weight * (sums.decisions_f / sums.decisions - mean_f)
        variance_y = np.maximum(sums.wyy / sums.w - mean_y**2, 0.0)
        effective = np.where(variance > 0, variance_y / variance, np.nan)
    return result(known, estimate, variance, weight=weight, correlation=correlation, effective_n=effective)
