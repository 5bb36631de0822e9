"""E-values and confidence sequences on the difference of two models, valid at any time and under drift.

The wealth of a bet, prod (1 + lambda g) with g = s w (v(y) - b) + s b - d a (w = 1/pi for a label, else 0), has mean at
most 1 at any stopping time as long as, given the past, the difference is not above d. It depends on counts only.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, finite, fractions, probabilities, require_fraction
from detectors.intervals import Interval
from detectors.launch.contrast import Contrast
from detectors.launch.outcomes import Outcomes
from detectors.parameters import convert_fields

_HALVINGS = 34  # of the reach: bounds to 1e-10 of it


class Design(msgspec.Struct, frozen=True):
    """How labels are sampled, and how evidence bets: fixed before the first label, or nothing is valid.

    `inclusion_probability`: one for each stratum. Bets are `bets` (fractions of the largest bet that cannot ruin, with
    equal weights), so that differences up to `reach` can be tested: a bound never lies beyond it. The default grid of
    powers of two costs at most ln 7 = 1.9 nats against its best bet, less where neighbours win too; `labels_needed`
    tells what a single well-chosen bet would save. `guess` is a guessed rate of violating in each stratum: sampled
    labels then carry only the surprise (difference estimator). A wrong guess costs labels, never validity; it matters
    only where pi < 1.
    """

    inclusion_probability: tuple[float, ...] = (1.0,)
    guess: tuple[float, ...] | None = None
    reach: float = 0.1
    bets: tuple[float, ...] = (0.9, 0.45, 0.225, 0.1125, 0.05625, 0.028125, 0.0140625)

    def __post_init__(self) -> None:
        convert_fields(self)
        probabilities("inclusion_probability", self.inclusion_probability)
        if not self.inclusion_probability or not self.bets:
            raise ValueError("design: needs at least one stratum and one bet")
        if self.guess is not None:
            fractions("guess", self.guess)
            if len(self.guess) != len(self.inclusion_probability):
                raise ValueError(f"guess: got {len(self.guess)}, allowed is one for each stratum")
        if not 0.0 < self.reach < np.inf:
            raise ValueError(f"reach: got {self.reach!r}, allowed is a finite number > 0")
        for bet in self.bets:
            require_fraction("bets", bet)


def payoffs(contrast: Contrast, design: Design) -> tuple[Floats, Floats, Floats]:
    """Per kind of decision: s w (v - b) + s b, shape (ends, 6 strata + 1); a, shape (6 strata + 1,); bets, (bets,).

    >>> payoffs(Contrast((1.0,), (0.0,)), Design())[0].tolist()
    [[1.0, 0.0, 0.0, -1.0, -0.0, -0.0, 0.0]]
    """
    w = 1.0 / np.asarray(design.inclusion_probability)
    one, zero = (np.asarray(v, dtype=np.float64)[:, None] for v in (contrast.violating, contrast.benign))
    if design.guess is None:
        base = np.zeros((len(one), len(w)))
    else:
        rate = np.asarray(design.guess)
        base = rate * one + (1.0 - rate) * zero
    gain = np.stack([w * (one - base) + base, w * (zero - base) + base, base], axis=-1)
    x = np.concatenate([gain, -gain], axis=-1).reshape(len(one), -1)
    acts = [1.0] * 3 + [0.0] * 3 if contrast.per_challenger_action else [0.0] * 3 + [1.0] * 3
    bound = np.abs(x).max() + design.reach
    x = np.concatenate([x, np.zeros((len(one), 1))], axis=-1)
    return x, np.array([*acts * len(w), 1.0]), np.asarray(design.bets) / bound


def log_e_value(
    found: Outcomes, contrast: Contrast, *, design: Design, difference: npt.ArrayLike, above: bool
) -> Floats:
    """ln of the e-value against "the difference is at most `difference`" (`above`) or "is at least" (not `above`).

    Shape (...), that of `found.both` broadcast with `difference`. By Ville's inequality it exceeds ln(1 / alpha) at any
    time at all with probability at most alpha while that hypothesis holds; look after every label if you like. The
    hypothesis is about each decision given the past: traffic, volumes and the share of disagreements may drift, and it
    suffices that the difference stays on one side throughout. Equal, fixed weights mix the bets (method of mixtures).

    Misleads when labels are not a sample with the stated probabilities, when a stratum was chosen knowing the
    verdict, and when decisions are left out because their labels are late.

    Source: Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, JRSS B 86(1), 2024;
    Horvitz-Thompson weights as in Waudby-Smith et al., Anytime-valid off-policy inference, 2022.
    Raises ValueError for strata unlike the design's, decisions not sampled where pi = 1, |difference| > reach.

    >>> found = Outcomes(np.array([[8.0, 32.0, 0.0, 32.0, 8.0, 0.0]]), np.array(2000.0))
    >>> worse = log_e_value(found, Contrast((1.0,), (0.0,)), design=Design(), difference=0.0, above=False)
    >>> float(worse.round(2))
    5.13
    """
    d = finite("difference", difference)
    if np.any(np.abs(d) > design.reach):
        raise ValueError(f"difference: allowed is at most the design's reach of {design.reach:g} in size")
    counts = _counts(found, design)
    x, acts, bets = payoffs(contrast, design)
    sign = 1.0 if above else -1.0
    logs = []
    for bet in bets:
        # Not a matrix product: BLAS rounds a row otherwise with its place in the array; a replay has to give the same.
        at_ends = [(counts * np.log1p(sign * bet * (end - d[..., None] * acts))).sum(axis=-1) for end in x]
        logs.append(np.minimum.reduce(at_ends))
    mixed: Floats = np.logaddexp.reduce(logs) - np.log(len(bets))
    return mixed


def confidence_sequence(found: Outcomes, contrast: Contrast, *, design: Design, alpha: float = 0.05) -> Interval:
    """Limits on the difference that hold at all times together with probability 1 - alpha; arrays of shape (...).

    All differences whose e-values, alpha / 2 a side, stay below 2 / alpha. Each e-value is monotone in the difference,
    so a bound is found by halving, and is never beyond the design's reach; a side about which nothing can be said is
    infinite. The difference meant is one that held throughout; if it drifted, the limits may be on neither its last
    value nor its mean, but they do not exclude a side on which it always was. One interval at a time: do not intersect
    with earlier ones where the difference may drift.

    Source and errors as `log_e_value`.

    >>> found = Outcomes(np.array([[8.0, 32.0, 0.0, 32.0, 8.0, 0.0]]), np.array(2000.0))
    >>> limits = confidence_sequence(found, Contrast((1.0,), (0.0,)), design=Design())
    >>> float(limits.lower.round(4)), float(limits.upper.round(4))
    (-0.0232, -0.0016)
    """
    need = np.log(2.0 / require_fraction("alpha", alpha))

    def bound(*, lower: bool) -> Floats:
        # `far` is never excluded in the end; `near` is, unless nothing is.
        outer = np.full(found.both.shape, -design.reach if lower else design.reach)
        excluded = log_e_value(found, contrast, design=design, difference=outer, above=lower) >= need
        near, far = outer, -outer
        for _ in range(_HALVINGS):
            middle = 0.5 * (near + far)
            out = log_e_value(found, contrast, design=design, difference=middle, above=lower) >= need
            near, far = np.where(out, middle, near), np.where(out, far, middle)
        return np.where(excluded, near, -np.inf if lower else np.inf)

    return Interval(lower=bound(lower=True), upper=bound(lower=False))


def _counts(found: Outcomes, design: Design) -> Floats:
    if found.discordant.shape[-2] != len(design.inclusion_probability):
        raise ValueError(
            f"strata: got {found.discordant.shape[-2]}, allowed are the design's {len(design.inclusion_probability)}"
        )
    sure = np.asarray(design.inclusion_probability) == 1.0
    if np.any(found.discordant[..., sure, :][..., [2, 5]] > 0):
        raise ValueError("discordant: found decisions without a label where the inclusion probability is 1")
    flat = found.discordant.reshape(*found.both.shape, -1)
    return np.concatenate([flat, found.both[..., None]], axis=-1)
