"""The evaluation of a detector: its score, and beside it those of detectors that have not looked at the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.arrays import require_fraction
from detectors.evaluation.chance import Chance, chance
from detectors.evaluation.score import Score, score
from detectors.evaluation.streams import Streams


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A score never comes alone: where changes are dense or tolerances wide, alarms at random score well too.

    `always_fire` alarms every `every` observations, `never_fire` never, `chance` as often as the detector did.
    """

    score: Score
    always_fire: Score
    never_fire: Score
    chance: Chance
    every: int


def evaluate(
    alarms: Sequence[npt.ArrayLike],
    changes: Sequence[npt.ArrayLike],
    *,
    lengths: Sequence[int],
    tolerance: int,
    merge_within: int = 1,
    every: int | None = None,
    confidence: float = 0.95,
) -> Evaluation:
    """Evaluate alarms on streams whose changes are known; all streams together, as one long experience.

    `alarms`, `changes`: for each stream the positions (whole numbers from 0) of its alarms and of its true changes, a
    change being its first changed observation; for one that spans several, its first. `lengths`: of each stream.

    Alarms are merged to `episodes` first (`merge_within`). An episode tells of a change at c if it begins within
    [c, c + `tolerance`] and before the next change; every other is false. So the false-alarm rate is per observation
    outside these windows: per observation of all, as River has it, it sinks with every change that is put in. An alarm
    that was on before a change and stays on tells nothing new, the change is missed; a detector that is to be seen
    finding several is restarted after each alarm.

    Delay is the first episode's position minus c, so 0 is the changed observation itself and run lengths of charts are
    greater by one. It is censored when the window ends; `restricted_delay` accounts for that, `mean_delay` leaves the
    missed out, as River's does. `conditional_delay` is over changes that no false alarm preceded (Pollak 1985, Annals
    of Statistics 13): the one to hold against a chart's, whose average run length was set.

    `every` (default: `tolerance` + 1, the fewest alarms that miss no change) must exceed `merge_within`.
    NaN is explained at each field of `Score`. Precision, recall and F1 agree with `river.drift.evaluate` (PR 1963)
    where windows do not overlap and no alarms are merged, but F1 without any alarm is 0 and not NaN.

    Raises ValueError for positions outside their stream, for streams of different number, for a `tolerance` that is no
    whole number >= 0, and for `merge_within` < 1, `every` <= `merge_within` or confidence outside (0, 1).

    >>> found = evaluate([[110, 130, 900]], [[100, 500]], lengths=[1000], tolerance=50)
    >>> found.score.detected, found.score.missed, found.score.false_alarms, found.score.mean_delay
    (1, 1, 1, 10.0)
    >>> round(found.score.f1, 3), round(found.always_fire.f1, 3), found.never_fire.f1, round(found.chance.f1, 3)
    (0.571, 0.182, 0.0, 0.119)
    """
    require_fraction("confidence", confidence)
    if every is None:
        every = max(tolerance, merge_within) + 1
    if every <= merge_within:
        raise ValueError(f"every: got {every!r}, allowed are whole numbers above merge_within, {merge_within}")
    streams = Streams.of(changes, lengths=lengths, tolerance=tolerance)
    begins = streams.begins(alarms, merge_within=merge_within)
    regular = [np.arange(0, length, every) for length in lengths]
    return Evaluation(
        score=score(streams, begins, tolerance=tolerance, confidence=confidence),
        always_fire=score(
            streams, streams.begins(regular, merge_within=merge_within), tolerance=tolerance, confidence=confidence
        ),
        never_fire=score(streams, begins[:0], tolerance=tolerance, confidence=confidence),
        chance=chance(streams, count=len(begins), tolerance=tolerance),
        every=every,
    )
