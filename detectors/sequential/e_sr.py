"""e-SR: the Shiryaev-Roberts detector of a changed mean of bounded observations, without a model of their distribution.

Faster than e-CUSUM at the same threshold, because it uses the run length that it promises up: it is the one to take
where the false alarms are counted over a long time and none is worth more than another.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from detectors.sequential.e_detector import EDetector


class ESr(EDetector, frozen=True, tag="e_sr"):
    """Alarm when log M > log `average_run_length`, M = sum of weights w_j M_j, M_j <- L_j (1 + M_j), M_j = 0 at first.

    L_j = x q_j / m + (1 - x)(1 - q_j) / (1 - m), with m = `mean` and q_j the `alternatives` at `smallest_change` times
    1, 2, 4, ... from it, as far as `largest_change` (None: the end of the range), on the side(s) of `direction`. For
    verdicts of 0 and 1, L_j is the likelihood ratio of q_j against m; for other x of [0, 1] it is above that ratio's
    usual form (q/m)^x ((1 - q)/(1 - m))^(1 - x), and still a fair bet. With lambda = (q - m) / (1 - m) it is the
    1 + lambda (x/m - 1) of the literature.

    What holds: as long as the mean of the next observation, given all before, is on the right side of m (at most m for
    rise, at least m for fall, equal to m for both), the mean number of observations to the first alarm is at least
    `average_run_length`, whatever their distribution, dependent or not, and whatever the level does on the right side.
    It is a mean: about 1 - e^(-n/ARL) of the series have had an alarm by n. Restart after an alarm, or the next one
    comes at once. Not allowed are observations chosen by looking at what comes next, and labels that arrive faster when
    they are bad. The statistic itself is no e-value: its mean grows like n.

    Planned for .1 to .2, with 1000 for the run length [simulated]: run length 1258, delay 76 at .2 and 170 at .15;
    `ECusum` at the same threshold 36 000 and 140. Source: Shin, Ramdas and Rinaldo 2022, arXiv 2203.03532, section 2.

    >>> spec = ESr(mean=0.9, smallest_change=0.05, direction="fall", average_run_length=1000)
    >>> verdicts = [float(index % 10 > 0) for index in range(300)] + [float(index % 3 > 0) for index in range(100)]
    >>> alarms = spec.build().update_many(verdicts).alarm
    >>> int(alarms.argmax())
    324
    """

    join: ClassVar[np.ufunc] = np.add

    @classmethod
    def example(cls) -> ESr:
        """A run length far above the 600 quiet values: on a series of little spread M climbs to its length."""
        return cls(mean=0.5, smallest_change=0.1, direction="both", average_run_length=100_000.0)
