"""Prediction-powered mean (PPI and PPI++) for labels drawn with equal probability, beside decisions without label.

For unequal inclusion probabilities use `difference`. The proxy must not have been trained on these labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, finite
from detectors.prediction_powered.gate import (
    PredictionPowered,
    gated,
    require_proxy_weight,
    result,
    rounding,
    shares,
)


@dataclass(frozen=True, slots=True, eq=False)
class PairSums:
    """Sums over n labelled pairs (y, f) and over N decisions without label; they add up with `+`, series by series."""

    labels: Floats
    y: Floats
    f: Floats
    yy: Floats
    yf: Floats
    ff: Floats
    unlabelled: Floats
    unlabelled_f: Floats
    unlabelled_ff: Floats

    def __add__(self, other: PairSums) -> PairSums:
        return PairSums(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


def pair_sums_from_labels(y: npt.ArrayLike, f: npt.ArrayLike, *, unlabelled_f: npt.ArrayLike) -> PairSums:
    """`PairSums` of labels `y` and proxies `f` (..., n) and proxies of the others `unlabelled_f` (..., N).

    >>> float(pair_sums_from_labels([1, 0], [0.5, 0.25], unlabelled_f=[0.5]).yf)
    0.5
    """
    label, proxy = np.broadcast_arrays(finite("y", y), finite("f", f))
    other = finite("unlabelled_f", unlabelled_f)
    products = (np.ones_like(label), label, proxy, label * label, label * proxy, proxy * proxy)
    beside = (np.ones_like(other), other, other * other)
    return PairSums(*(np.asarray(np.sum(value, axis=-1)) for value in (*products, *beside)))


def ppi(
    sums: PairSums, *, proxy_weight: float | None = None, clip: bool = True, gate_confidence: float | None = 0.9
) -> PredictionPowered:
    """theta = lambda mean(f~) + mean(y - lambda f); variance lambda^2 s^2(f~) / N + s^2(y - lambda f) / n.

    `proxy_weight` 1 is PPI, 0 labels alone, None (PPI++) tunes lambda = Cov(y, f) / ((1 + n/N) Var f), clipped to
    [0, 1] unless `clip` is false. Covariance and variances have ddof = 1, Var f is that of labelled and unlabelled
    together (ppi_py takes ddof = 0 for the covariance); the residual's variance of a tuned lambda has n - 2 degrees of
    freedom. Where N < n, s^2(f~) too is that of labelled and unlabelled together: from N = 1, 2 or 10 alone 95 %
    intervals with lambda 1 would cover 3, 70 or 92 %. A tuned lambda falls back to 0 where `proxy_helps` says no at
    `gate_confidence`; None turns that off. Amounts far from 0 beside their spread have a variance of NaN
    (`PredictionPowered`).

    Assumes that labels are a random sample of the same population and that f was not trained on them. If it was, split
    the labels into folds, give each label the proxy of the model that has not seen it and each unlabelled decision the
    mean over the models: with `proxy_weight=1` that is the cross-prediction estimate (Zrnic and Candes 2024).
    Source: arXiv 2301.09633 (PPI), 2311.01453 (PPI++). Raises ValueError for a `proxy_weight` outside [0, 1].

    >>> y, f = [1, 0, 1, 1, 0, 1], [0.9, 0.2, 0.8, 0.7, 0.3, 0.9]
    >>> found = ppi(pair_sums_from_labels(y, f, unlabelled_f=[0.5, 0.6, 0.4, 0.9]), proxy_weight=1.0)
    >>> float(found.estimate.round(4)), float(found.variance.round(4))
    (0.6333, 0.0262)
    """
    n, others = sums.labels, sums.unlabelled
    known = (n >= 2) & (others >= 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_y, mean_f, mean_other = sums.y / n, sums.f / n, sums.unlabelled_f / others
        cov = (sums.yf - n * mean_y * mean_f) / (n - 1.0)
        var_y = np.maximum(sums.yy - n * mean_y**2, 0.0) / (n - 1.0)
        var_f = np.maximum(sums.ff - n * mean_f**2, 0.0) / (n - 1.0)
        var_other = np.maximum(sums.unlabelled_ff - others * mean_other**2, 0.0) / np.maximum(others - 1.0, 1.0)
        pooled_mean = (sums.f + sums.unlabelled_f) / (n + others)
        pooled = np.maximum(sums.ff + sums.unlabelled_ff - (n + others) * pooled_mean**2, 0.0) / (n + others - 1.0)
        var_other = np.where(others < n, pooled, var_other)
        lost_y, lost_f = (rounding(n, squares) / (n - 1.0) for squares in (sums.yy, sums.ff))
        lost_other = rounding(others, sums.unlabelled_ff) / np.maximum(others - 1.0, 1.0)
        lost_pooled = rounding(n + others, sums.ff + sums.unlabelled_ff) / (n + others - 1.0)
        lost_other = np.where(others < n, lost_pooled, lost_other)
        flat = var_f <= lost_f
        correlation = np.where(flat | (var_y <= lost_y), np.nan, np.clip(cov / np.sqrt(var_f * var_y), -1.0, 1.0))
        if proxy_weight is None:
            best = np.where(flat, 0.0, cov / ((1.0 + n / others) * pooled))
            weight = gated(best, correlation, n, clip=clip, confidence=gate_confidence)
        else:
            weight = np.full(np.shape(n), require_proxy_weight(proxy_weight))
        residual = np.maximum(var_y - 2.0 * weight * cov + weight**2 * var_f, 0.0)
        if proxy_weight is None:
            residual = np.where((weight != 0) & (n > 2), residual * (n - 1.0) / (n - 2.0), residual)
        variance = weight**2 * var_other / others + residual / n
        estimate = mean_y + weight * (mean_other - mean_f)
        lost = weight**2 * lost_other / others + (lost_y + weight**2 * lost_f) / n
        amounts = ~shares(sums.y, sums.yy) | (weight != 0) & ~(
            shares(sums.f, sums.ff) & shares(sums.unlabelled_f, sums.unlabelled_ff)
        )
        # Beside the variance of labels alone that of a perfect proxy is known to be next to nothing.
        variance = np.where(amounts & (np.maximum(variance, var_y / n) <= lost), np.nan, variance)
        effective = np.where(variance > 0, var_y / variance, np.nan)
    return result(known, estimate, variance, weight=weight, correlation=correlation, effective_n=effective)
