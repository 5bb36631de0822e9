"""Differences between challenger and champion that a launch is judged by, as values of a verdict.

Each is (sum over disagreements of s v(y)) / actions, with s = +1 where only the challenger acts and -1 where only the
champion does. It is below d exactly where E[s v(y) - d a] < 0 per decision, a = 1 if the action counts: the ratio of
two random sums need not be estimated to be tested.
"""

from __future__ import annotations

import msgspec

from detectors.arrays import finite
from detectors.parameters import convert_fields


class Contrast(msgspec.Struct, frozen=True):
    """The value of an action on violating and on benign content, and whose actions the difference is a share of.

    `violating` and `benign` have an entry for each end of a nuisance parameter (champion's precision); a statement is
    made only if it holds at all ends. `more_is_better` says which way is a regression.
    """

    violating: tuple[float, ...]
    benign: tuple[float, ...]
    per_challenger_action: bool = False
    more_is_better: bool = True

    def __post_init__(self) -> None:
        convert_fields(self)
        if not len(self.violating) == len(self.benign) >= 1:
            raise ValueError("contrast: violating and benign need the same number of entries, at least one")
        finite("violating", self.violating)
        finite("benign", self.benign)
        if not any(self.violating) and not any(self.benign):
            raise ValueError("contrast: all values are 0, so nothing is compared")


def true_positives() -> Contrast:
    """(TP of the challenger - TP of the champion) / actions of the champion; .01 is 10 per 1000 actions.

    >>> true_positives().violating
    (1.0,)
    """
    return Contrast((1.0,), (0.0,))


def false_positives() -> Contrast:
    """(FP of the challenger - FP of the champion) / actions of the champion; a rise is a regression.

    >>> false_positives().more_is_better
    False
    """
    return Contrast((0.0,), (1.0,), more_is_better=False)


def precision(champion_lower: float, champion_upper: float) -> Contrast:
    """Precision of the challenger minus precision P of the champion, with P known to lie in an interval.

    Exact, not to first order: TP_h / A_h - P = ((TP_h - TP_c) - P (A_h - A_c)) / A_h, because TP_c = P A_c. So each
    disagreement counts s (y - P), over the actions of the challenger. With equal volumes P cancels; else an error e in
    P shifts the difference by e (A_h - A_c) / A_h. The wealth of one bet is log-concave in P, so its least value over
    the interval is at an end: what is claimed holds for each P within, and is wrong no more often than alpha plus the
    chance that the interval misses P. P is that of the champion on the compared traffic; if it wanders, give its range.

    Raises ValueError unless 0 <= champion_lower <= champion_upper <= 1.

    >>> precision(0.94, 0.96).benign
    (-0.94, -0.96)
    """
    if not 0.0 <= champion_lower <= champion_upper <= 1.0:
        raise ValueError(
            f"champion's precision: got [{champion_lower!r}, {champion_upper!r}], allowed is within [0, 1]"
        )
    ends = tuple(dict.fromkeys((champion_lower, champion_upper)))
    return Contrast(tuple(1.0 - p for p in ends), tuple(-p for p in ends), per_challenger_action=True)


def value(violating: float, benign: float) -> Contrast:
    """Value gained by the challenger per action of the champion, in the launch owner's units; a cost is negative.

    >>> value(1.0, -3.0).benign
    (-3.0,)
    """
    return Contrast((violating,), (benign,))
