"""Class shares of unlabelled traffic from predictions and a labelled confusion matrix (black-box shift estimation).

Assumes label shift: only the class shares changed, not what items of a class look like to the classifier or reviewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, nonnegative
from detectors.feedback.reason import Reason


@dataclass(frozen=True, slots=True, eq=False)
class LabelShift:
    """`weight` (classes,) target share / source share, `target_share` (classes,), the condition number, the reason."""

    weight: Floats
    target_share: Floats
    condition: float
    reason: Reason


def bbse(confusion: npt.ArrayLike, predicted: npt.ArrayLike, *, greatest_condition: float = 50.0) -> LabelShift:
    """Solve C w = mu, C_ij = P_source(predicted i, true j), mu_i = P_target(predicted i); share_j = w_j P_source(j).

    `confusion` (classes, classes) holds labelled source counts or weights, rows predicted, columns true; `predicted`
    (classes,) the target's counts. `condition` is that of P(predicted | true): rare classes alone do not make it large.
    Above `greatest_condition`, or with Se + Sp - 1 below .1 for two classes, shares are NaN, NOT_IDENTIFIED. Shares
    outside [0, 1] stay as they are, OUT_OF_RANGE. For two classes it is Rogan-Gladen's estimate.

    Source: Lipton, Wang and Smola 2018 (ICML). Raises ValueError for other shapes and negative or non-finite counts.

    >>> found = bbse([[89, 4], [11, 96]], [105, 45])
    >>> found.target_share.round(7).tolist(), round(found.condition, 2), found.reason.name
    ([0.7764706, 0.2235294], 1.2, 'VALID')
    """
    table, seen = nonnegative("confusion", confusion), nonnegative("predicted", predicted)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or seen.shape != table.shape[:1]:
        raise ValueError(
            f"confusion, predicted: {table.shape}, {seen.shape}; allowed are (classes, classes), (classes,)"
        )
    unknown = np.full(seen.shape, np.nan)
    if seen.sum() == 0 or np.any(table.sum(axis=0) == 0):
        return LabelShift(weight=unknown, target_share=unknown, condition=np.nan, reason=Reason.NO_DATA)
    source = table.sum(axis=0) / table.sum()
    given_true = table / table.sum(axis=0)
    condition = float(np.linalg.cond(given_true))
    two_alike = len(seen) == 2 and given_true[0, 0] + given_true[1, 1] - 1.0 < 0.1 - 1e-12
    if not condition <= greatest_condition or two_alike:
        return LabelShift(weight=unknown, target_share=unknown, condition=condition, reason=Reason.NOT_IDENTIFIED)
    share = np.linalg.solve(given_true, seen / seen.sum())
    outside = bool(np.any((share < -1e-12) | (share > 1 + 1e-12)))
    return LabelShift(
        weight=share / source,
        target_share=share,
        condition=condition,
        reason=Reason.OUT_OF_RANGE if outside else Reason.VALID,
    )
