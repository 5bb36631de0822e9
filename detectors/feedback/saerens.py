"""Class shares of unlabelled traffic from calibrated posteriors by expectation-maximisation (Saerens).

Only as good as the posteriors: it needs them calibrated for the source, and P(x | class) unchanged.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, fractions, nonnegative

RESOLVED: Final = 1e-4
"""Shares that may still be this far from the limit are none."""


def saerens(
    posterior: npt.ArrayLike,
    source_share: npt.ArrayLike,
    *,
    count: npt.ArrayLike = 1.0,
    tolerance: float = 1e-12,
    steps: int = 100_000,
) -> Floats:
    """The maximum-likelihood target shares: q <- mean over i of p_i q / pi0, normalised over the classes.

    `posterior` (items, classes), rows that sum to 1; `source_share` (classes,), all > 0; `count` (items,) repeats an
    item, so that score bins do. The likelihood is concave: the limit, where it is one point, does not depend on the
    start. A step changes the shares by their distance from the limit times a rate, the least eigenvalue of what the
    items tell of the shares over what they would tell with their classes known. NaN without items; if `steps` did not
    bring the change below `tolerance`; and where the rate is so small that the shares are then not known to 1e-4: the
    posteriors of two classes go together for all items.

    Source: Saerens, Latinne and Decaestecker 2002 (Neural Computation 14). Raises ValueError for other shapes and rows.

    >>> p = [0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.3, 0.2, 0.1, 0.1]
    >>> round(float(saerens([[1 - at, at] for at in p], [0.5, 0.5])[1]), 8)
    0.31273083
    """
    p, prior = fractions("posterior", posterior), fractions("source_share", source_share)
    if p.ndim != 2 or prior.shape != p.shape[1:] or np.any(prior == 0) or abs(prior.sum() - 1) > 1e-9:
        raise ValueError("posterior: allowed is (items, classes); source_share: (classes,) > 0 with the sum 1")
    if np.any(np.abs(p.sum(axis=1) - 1.0) > 1e-6):
        raise ValueError("posterior: found a row whose sum is not 1")
    weight = np.broadcast_to(nonnegative("count", count), p.shape[:1])
    if weight.sum() == 0:
        return np.full(prior.shape, np.nan)
    # Items that are not there would still divide 0 by 0 once a class has no share.
    odds, weight = p[weight > 0] / prior, weight[weight > 0] / weight.sum()
    share = prior
    for _ in range(steps):
        joint = odds * share
        following: Floats = np.sum(weight[:, None] * joint / joint.sum(axis=1, keepdims=True), axis=0)
        if np.abs(following - share).max() < tolerance:
            # Below a rounding error nothing is known of the change.
            change = max(float(np.abs(following - share).max()), float(np.finfo(np.float64).eps))
            return following if change <= RESOLVED * _rate(odds, weight, following) else np.full(prior.shape, np.nan)
        share = following
    return np.full(prior.shape, np.nan)


def _rate(odds: Floats, weight: Floats, share: Floats) -> float:
    """By which part the slowest direction comes nearer to the limit in a step at `share`: 1 less the step's derivative.

    With g_j = sum w o_j / (o q) the step is q g, its derivative diag(g) - diag(q) H with H = sum w o o^T / (o q)^2.
    """
    each = odds / (odds @ share)[:, None]
    root = np.sqrt(share)
    told = root[:, None] * (each.T @ (weight[:, None] * each)) * root
    return float(np.linalg.eigvalsh(np.eye(len(share)) - np.diag(weight @ each) + told)[0])
