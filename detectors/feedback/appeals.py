"""What appeals say about precision: bounds, and an estimate only together with audits of what was not appealed.

The overturned share of appeals is not 1 - precision: who appeals chooses to. Of the same removals one platform could
publish 22 % (of appeals) or 0.4 % (of removals).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, nonnegative


@dataclass(frozen=True, slots=True, eq=False)
class AppealShares:
    """Shares of appeals, and the bounds they put on precision; arrays of one shape, NaN where a denominator is 0.

    None of the shares is a precision or an error rate. `precision_lower` and `precision_upper` are not a confidence
    interval: they enclose the precision of these very actions whatever the actions without decided appeal were.
    """

    overturned_of_decided: Floats
    overturned_of_actioned: Floats
    decided_of_actioned: Floats
    precision_lower: Floats
    precision_upper: Floats


@dataclass(frozen=True, slots=True, eq=False)
class AppealsWithAudit:
    """Error share and precision of the actions with the variance of both; NaN where the audit is missing and needed."""

    error_share: Floats
    precision: Floats
    variance: Floats


def appeal_shares(actioned: npt.ArrayLike, decided: npt.ArrayLike, *, overturned: npt.ArrayLike) -> AppealShares:
    """Shares and worst-case (Manski) bounds [(decided - overturned) / actioned, 1 - overturned / actioned].

    Counts of actions, of their appeals that were *decided* (pending ones are unknown, like those not appealed) and of
    overturned ones; they broadcast, a series each. The bounds assume that appeal verdicts are right, and nothing else.
    With few appeals they are nearly [0, 1]: that is what appeals alone know. Source: Manski 1989, J. Human Resources.
    Raises ValueError for negative counts or not overturned <= decided <= actioned.

    >>> found = appeal_shares(1000, 50, overturned=10)
    >>> float(found.overturned_of_decided), float(found.overturned_of_actioned)
    (0.2, 0.01)
    >>> float(found.precision_lower), float(found.precision_upper)
    (0.04, 0.99)
    """
    n, a, o = _counts(actioned, decided, overturned)
    with np.errstate(invalid="ignore", divide="ignore"):
        return AppealShares(
            overturned_of_decided=np.asarray(o / a),
            overturned_of_actioned=np.asarray(o / n),
            decided_of_actioned=np.asarray(a / n),
            precision_lower=np.asarray((a - o) / n),
            precision_upper=np.asarray((n - o) / n),
        )


def appeals_with_audit(
    actioned: npt.ArrayLike,
    decided: npt.ArrayLike,
    *,
    overturned: npt.ArrayLike,
    audited_error: npt.ArrayLike,
    audited_variance: npt.ArrayLike,
) -> AppealsWithAudit:
    """error = A/N o + (1 - A/N) e with o the overturned share of decided appeals, e the audited error of all others.

    `audited_error` and `audited_variance` come from a probability sample of the actions *without* decided appeal (a
    Hajek estimate). The appealed part is counted in full, so the variance is (1 - A/N)^2 audited_variance: that of the
    error share of these actions, not of the model's on others. Where every action has a decided appeal the audit is not
    needed; elsewhere a NaN audit gives NaN. Assumes that appeals and audits judge alike; whether an item is audited
    must not depend on whether it will be appealed later. Source: post-stratification, Sarndal et al. 1992, ch. 7.

    Raises ValueError for impossible counts, an error outside [0, 1] and negative variance; NaN is allowed in the audit.

    >>> found = appeals_with_audit(1000, 50, overturned=10, audited_error=0.04, audited_variance=0.0001)
    >>> round(float(found.precision), 3), round(float(found.variance), 8)
    (0.952, 9.025e-05)
    """
    n, a, o = _counts(actioned, decided, overturned)
    e, variance = np.asarray(audited_error, dtype=np.float64), np.asarray(audited_variance, dtype=np.float64)
    if np.any((e < 0) | (e > 1)) or np.any((variance < 0) | np.isinf(variance)):
        raise ValueError("audited_error: allowed is [0, 1] or NaN; audited_variance: finite numbers >= 0 or NaN")
    with np.errstate(invalid="ignore", divide="ignore"):
        rest = (n - a) / n
        error = o / n + np.where(rest == 0, 0.0, rest * e)
        # The variance of an unknown error is unknown, whatever was given for it.
        spread = np.where(rest == 0, 0.0, rest**2 * np.where(np.isnan(e), np.nan, variance))
    return AppealsWithAudit(error_share=error, precision=1.0 - error, variance=np.where(n > 0, spread, np.nan))


def _counts(
    actioned: npt.ArrayLike, decided: npt.ArrayLike, overturned: npt.ArrayLike
) -> tuple[Floats, Floats, Floats]:
    n, a, o = np.broadcast_arrays(
        nonnegative("actioned", actioned), nonnegative("decided", decided), nonnegative("overturned", overturned)
    )
    if np.any((o > a) | (a > n)):
        raise ValueError("allowed is overturned <= decided <= actioned, found a series where it is not so")
    return n, a, o
