"""Cohen's kappa: agreement of two reviewers beyond chance. It falls with the base rate and says nothing on truth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, nonnegative


def cohens_kappa(table: npt.ArrayLike) -> Floats:
    """kappa = (p_o - p_e) / (1 - p_e), p_o the share on the diagonal, p_e the one that the margins alone would give.

    `table` (..., classes, classes): items by verdict of the first (rows) and of the second reviewer, a pair each. NaN
    without items, and where both always give the same one verdict (chance alone explains it). Two reviewers with the
    same outdated guideline agree perfectly and are both wrong. Source: Cohen 1960 (Educ. Psychol. Meas. 20).
    Raises ValueError for a table that is not square, and negative counts.

    >>> float(cohens_kappa([[20, 5], [10, 15]]).round(10))
    0.4
    """
    counts = nonnegative("table", table)
    if counts.ndim < 2 or counts.shape[-1] != counts.shape[-2]:
        raise ValueError(f"table: shape {counts.shape}, allowed is (..., classes, classes)")
    with np.errstate(invalid="ignore", divide="ignore"):
        items = counts.sum(axis=(-2, -1))
        share = counts / items[..., None, None]
        observed = np.trace(share, axis1=-2, axis2=-1)
        expected = np.sum(share.sum(axis=-1) * share.sum(axis=-2), axis=-1)
        return np.where((items > 0) & (expected < 1 - 1e-12), (observed - expected) / (1.0 - expected), np.nan)
