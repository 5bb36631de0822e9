"""e-CUSUM: the cumulative-sum detector of a changed mean of bounded observations; no model of their distribution.

Its run length is far above the stated bound where observations vary, so it is slower than e-SR at the same threshold.
Take it where a false alarm is dear, or where M must fall back after an excursion.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from detectors.sequential.e_detector import EDetector


class ECusum(EDetector, frozen=True, tag="e_cusum"):
    """Alarm when log M > log `average_run_length`, M = sum of w_j M_j, M_j <- L_j max(1, M_j), M_j = 1 at first.

    Parameters, increments L_j, what holds and what is not allowed: as `ESr`. M is at most the M of e-SR, so the run
    length is at least `average_run_length` too, and in practice many times that (36 000 for a stated 1000, planned for
    .1 to .2). With a single alternative and verdicts of 0 and 1 it is the Bernoulli CUSUM, whose exact run length a
    chart gives: set that chart where the verdicts are independent with a known share, this one where they need not be.

    Source: Shin, Ramdas and Rinaldo 2022, arXiv 2203.03532, section 2.

    >>> spec = ECusum(mean=0.9, smallest_change=0.05, direction="fall", average_run_length=1000)
    >>> verdicts = [float(index % 10 > 0) for index in range(300)] + [float(index % 3 > 0) for index in range(100)]
    >>> int(spec.build().update_many(verdicts).alarm.argmax())
    336
    """

    join: ClassVar[np.ufunc] = np.maximum

    @classmethod
    def example(cls) -> ECusum:
        """The parameters of the example of `ESr`."""
        return cls(mean=0.5, smallest_change=0.1, direction="both", average_run_length=100_000.0)
