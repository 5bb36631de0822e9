"""Polynomial stitching: a boundary in closed form that grows like the law of the iterated logarithm."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from detectors.arrays import Floats, nonnegative, require_fraction


def stitched_bound(
    v: npt.ArrayLike, *, v_min: float, alpha: float, scale: float = 0.0, growth: float = 2.0, exponent: float = 1.4
) -> Floats:
    """The s that a centred sub-gamma sum crosses at any intrinsic time v with probability at most `alpha` (one-sided).

    sqrt(k1^2 v l + (k2 c l)^2) + k2 c l with l = e ln ln(g v / v_min) + ln(zeta(e) / ln(g)^e) + ln(1/alpha), k1 =
    (g^(1/4) + g^(-1/4)) / sqrt 2, k2 = (sqrt g + 1) / 2; c = `scale` (0: sub-Gaussian), g = `growth`, e = `exponent`.
    Below `v_min` it is that of v_min. Take it for very long streams; up to 1000 times v_opt a mixture is tighter.
    Source: Howard et al. 2021, arXiv 1810.08240, theorem 1 and equation 10.

    >>> stitched_bound([100.0, 100.0], v_min=10.0, alpha=0.05, scale=3.0).round(5).tolist()
    [64.48755, 64.48755]
    """
    if not v_min > 0.0:
        raise ValueError(f"v_min: got {v_min!r}, allowed is v_min > 0")
    if not (growth > 1.0 and exponent > 1.0):
        raise ValueError(f"growth, exponent: got {growth!r} and {exponent!r}, allowed are numbers above 1")
    time = np.maximum(nonnegative("v", v), v_min)
    constant = np.log(scipy.special.zeta(exponent) / np.log(growth) ** exponent)
    level = exponent * np.log(np.log(growth * time / v_min)) + constant - np.log(require_fraction("alpha", alpha))
    k1 = (growth**0.25 + growth**-0.25) / np.sqrt(2.0)
    tail = 0.5 * (np.sqrt(growth) + 1.0) * scale * level
    found: Floats = np.sqrt(k1**2 * time * level + tail**2) + tail
    return found
