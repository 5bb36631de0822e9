"""What a chart is designed by: its threshold, or the average run length in control that is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from detectors.contract import Sides

USUAL: Final = 10_000.0
"""The average run length in control of a chart that is told neither it nor a threshold."""

HIGHEST_OF_BOTH: Final = 0.5
"""Two opposite CUSUMs begin at most here: one that alarms then leaves the other at 0, which their run length takes."""

Threshold = TypeVar("Threshold")
Threshold_co = TypeVar("Threshold_co", covariant=True)
Wanted = TypeVar("Wanted")


class Design(Protocol[Threshold_co]):
    """The two parameters of a chart of which at most one is given."""

    @property
    def threshold(self) -> Threshold_co | None:
        """What the statistic must exceed (or reach, on whole steps), in the unit of the chart."""

    @property
    def average_run_length(self) -> float | None:
        """The mean number of observations to a false alarm that is wanted."""


def require_one_design(chart: Design[object]) -> None:
    """Raise ValueError for a chart that is given a threshold and an average run length: they may contradict.

    >>> from detectors.charts import Cusum
    >>> Cusum(threshold=5.0, average_run_length=465.0)
    Traceback (most recent call last):
    ValueError: Cusum: got threshold 5 and average_run_length 465, allowed is at most one of the two
    """
    if chart.threshold is not None and chart.average_run_length is not None:
        raise ValueError(
            f"{type(chart).__name__}: got threshold {chart.threshold:g} and average_run_length"
            f" {chart.average_run_length:g}, allowed is at most one of the two"
        )


def require_head_start(where: str, head_start: npt.ArrayLike, direction: Sides) -> None:
    """Raise ValueError for fractions of the threshold, of any shape, at which two sides must not begin.

    >>> require_head_start("Cusum", 0.9, "both")
    Traceback (most recent call last):
    ValueError: Cusum: got head_start 0.9 with direction 'both', allowed is at most 0.5
    """
    highest = float(np.max(head_start, initial=0.0))
    if direction == "both" and highest > HIGHEST_OF_BOTH:
        raise ValueError(
            f"{where}: got head_start {highest!r} with direction 'both', allowed is at most {HIGHEST_OF_BOTH}"
        )


def designed_threshold(chart: Design[Threshold], find: Callable[[float], Threshold]) -> Threshold:
    """The threshold given, or what `find` says for the average run length wanted, or for the usual one.

    >>> from detectors.charts import Cusum
    >>> designed_threshold(Cusum(), lambda wanted: wanted), designed_threshold(Cusum(threshold=5.0), lambda wanted: 0.0)
    (10000.0, 5.0)
    """
    if chart.threshold is not None:
        return chart.threshold
    return find(USUAL if chart.average_run_length is None else chart.average_run_length)


def family_threshold(
    threshold: npt.ArrayLike | None, average_run_length: Wanted | None, find: Callable[[Wanted], npt.ArrayLike]
) -> npt.ArrayLike:
    """The same for a family of charts, which must be told one of the two; ValueError for both and for neither.

    >>> family_threshold(None, None, lambda wanted: 0.0)
    Traceback (most recent call last):
    ValueError: threshold, average_run_length: got neither, allowed is one of the two
    """
    if threshold is not None and average_run_length is None:
        return threshold
    if average_run_length is not None and threshold is None:
        return find(average_run_length)
    got = "neither" if threshold is None else "both"
    raise ValueError(f"threshold, average_run_length: got {got}, allowed is one of the two")
