"""Attribution: are planted causes of a fall in precision named, and how often is something named where nothing changed?

Traffic of 8 policies x 6 languages x 5 regions x 3 modalities, 2 model versions and 2 rule-books of the reviewers:
2,880 cells with log-normal volumes that vary by 5 % from window to window (log-normal, cell by cell, beyond counting).
Precision has effects of every value (sd .5 on the logit) and of every cell (sd .2). Labels are drawn with probabilities
that depend on policy and score; most cells have none or one. A run counts as a hit only if factor and segment are
exactly those planted; a parent or a child does not count.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy

from detectors.arrays import Bools, Floats, Ints
from detectors.attribution import Cells, Dimension, Explanation, Factor, Role, WindowSums, cells, explain, window_sums
from tests.bench.tables import Table, begin, show

SMALL: Final = "--runs 3 --runs-two 2 --runs-none 3 --runs-each 1"

SIZES: Final = {"policy": 8, "language": 6, "region": 5, "modality": 3}
SEGMENTS: Final = tuple(
    Dimension(name, tuple(f"{name[0]}{value}" for value in range(size))) for name, size in SIZES.items()
)
DIMENSIONS: Final = (
    *SEGMENTS,
    Dimension("model", ("v1", "v2"), Role.VERSION),
    Dimension("rulebook", ("old", "new"), Role.REVIEWER),
)
CODES: Final[Ints] = np.indices([len(axis.values) for axis in DIMENSIONS]).reshape(len(DIMENSIONS), -1).T
DECISIONS: Final = 2_000_000
SCORE_BINS: Final = np.array([-0.8, 0.0, 1.0])
"""Low, middle and high scores, each a third of the decisions: what they add to the logit of precision."""
REVIEWED: Final = np.array([1.6, 1.0, 0.4])
"""How much more often they are reviewed than the middle ones."""
KINDS: Final = (Factor.WITHIN, Factor.MIX, Factor.VERSION, Factor.REVIEWER, Factor.SAMPLING)

Segment = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Planted:
    """A cause as it should be named."""

    factor: Factor
    segment: Segment


@dataclass(slots=True)
class World:
    """Both windows (axis 0) in each cell, before labels are drawn."""

    volume: Floats
    model: Floats
    rulebook: Floats
    logit: Floats
    inclusion: Floats
    unrecorded: Floats
    """What the inclusion probability is multiplied by without the weights knowing."""

    @property
    def precision(self) -> Floats:
        """(2, cells), the mean over score bins."""
        return scipy.special.expit(self.logit[:, :, None] + SCORE_BINS).mean(axis=2)

    @property
    def traffic(self) -> Floats:
        """(2, cells), the expected decisions: a segment's volume, split over versions and rule-books."""
        return self.volume * self.model * self.rulebook


def world(rng: np.random.Generator) -> World:
    """Two windows between which only volumes vary."""
    popularity, logit = np.zeros(len(CODES)), np.zeros(len(CODES))
    segment = CODES[:, :4]
    place = np.unique(segment, axis=0, return_inverse=True)[1].reshape(-1)
    count = int(place.max()) + 1
    policy_inclusion = np.exp(0.5 * rng.standard_normal(SIZES["policy"]))
    for column, size in enumerate(SIZES.values()):
        popularity += 0.6 * rng.standard_normal(size)[segment[:, column]]
        logit += 0.5 * rng.standard_normal(size)[segment[:, column]]
    popularity += 0.5 * rng.standard_normal(count)[place]
    logit += 0.2 * rng.standard_normal(count)[place] - logit.mean() + 2.6
    volume = np.exp(popularity + 0.05 * rng.standard_normal((2, count))[:, place])
    new_model, new_rules = CODES[:, 4] == 1, CODES[:, 5] == 1
    return World(
        volume=volume,
        model=np.tile(np.where(new_model, 0.1, 0.9), (2, 1)),
        rulebook=np.tile(np.where(new_rules, 0.2, 0.8), (2, 1)),
        logit=np.tile(logit, (2, 1)),
        inclusion=np.tile(policy_inclusion[CODES[:, 0]], (2, 1)),
        unrecorded=np.ones((2, len(CODES))),
    )


def segments(rng: np.random.Generator, order: int) -> tuple[Segment, Bools]:
    """A random crossing of `order` values of segments, and its cells."""
    chosen = sorted(rng.choice(len(SEGMENTS), size=order, replace=False).tolist())
    values = [int(rng.integers(len(SEGMENTS[place].values))) for place in chosen]
    inside = np.all(CODES[:, chosen] == values, axis=1)
    return tuple((SEGMENTS[at].name, SEGMENTS[at].values[code]) for at, code in zip(chosen, values, strict=True)), inside


def plant(
    there: World, rng: np.random.Generator, factor: Factor, *, points: float, orders: Sequence[int] = (1, 2, 3)
) -> Planted:
    """Change the current window so that precision falls by `points`; a random place that can carry it."""
    precision, share = there.precision[1], there.traffic[1] / there.traffic[1].sum()
    everywhere = np.ones(len(CODES), dtype=np.bool_)
    if factor is Factor.VERSION:
        new, gained = CODES[:, 4] == 1, float(rng.uniform(0.4, 0.6))
        if rng.random() < 0.5:  # launched with or without a canary in the reference
            there.model[0] = np.where(new, 0.0, 1.0)
        there.model[1] = there.model[0] + np.where(new, gained, -gained)
        _worse(there, new, everywhere, drop=points / gained, windows=(0, 1))
        return Planted(factor, (("model", "v2"),))
    if factor is Factor.REVIEWER:
        new, gained = CODES[:, 5] == 1, float(rng.uniform(0.4, 0.6))
        there.rulebook[1] = there.rulebook[0] + np.where(new, gained, -gained)
        _worse(there, new, everywhere, drop=points / gained, windows=(0, 1))
        return Planted(factor, (("rulebook", "new"),))
    for _ in range(100_000):
        segment, inside = segments(rng, int(rng.choice(orders)))
        size = float(share[inside].sum())
        rate = float((share * precision)[inside].sum()) / size
        if factor is Factor.WITHIN:
            if 0.02 <= size <= 0.5 and points / size <= rate - 0.2:
                _worse(there, inside, inside, drop=points / size, windows=(1,))
                return Planted(factor, segment)
            continue
        # The share that makes the whole fall by `points`, by growth of a segment that is worse than the rest.
        rest = (float((share * precision).sum()) - size * rate) / (1.0 - size)
        if not rate < rest - 0.03:
            continue
        grown = size + points / (rest - rate)
        if size < 0.01 or grown > 0.6:
            continue
        factor_of = grown / (1.0 - grown) * (1.0 - size) / size
        if factor_of > 8.0:
            continue
        if factor is Factor.MIX:
            there.volume[1, inside] *= factor_of
        else:
            there.unrecorded[1, inside] *= factor_of
        return Planted(factor, segment)
    raise ValueError(f"{factor} of {points} points: no segment can carry it")


def _worse(there: World, cell: Bools, measured: Bools, *, drop: float, windows: Sequence[int]) -> None:
    """Lower the logit of `cell` by what lowers the precision of cells like `measured` by `drop`."""
    weight = there.volume[1] * measured * (there.traffic[1] if cell is measured else 1.0)
    base = there.logit[1]
    before = float(weight @ there.precision[1]) / weight.sum()

    def excess(step: float) -> float:
        after = scipy.special.expit(base[:, None] - step + SCORE_BINS).mean(axis=1)
        return before - float(weight @ after) / float(weight.sum()) - drop

    step = float(scipy.optimize.brentq(excess, 0.0, 12.0))
    for window in windows:
        there.logit[window, cell] -= step


def draw(there: World, rng: np.random.Generator, *, labels: float) -> Cells:
    """Decisions of both windows and some `labels` labels of each, as cells."""
    windows = []
    for window in range(2):
        traffic = there.traffic[window]
        decisions = rng.poisson(DECISIONS * traffic / traffic.sum())
        chance = there.inclusion[window][:, None] * REVIEWED
        scale = labels / float((there.traffic[0][:, None] / there.traffic[0].sum() / 3.0 * chance).sum()) / DECISIONS
        drawn = rng.poisson(decisions[:, None] / 3.0 * chance * scale * there.unrecorded[window][:, None])
        positive = rng.binomial(drawn, scipy.special.expit(there.logit[window][:, None] + SCORE_BINS))
        weight = 1.0 / (chance * scale)
        windows.append(_sums(decisions, positive, drawn - positive, weight))
    return cells(DIMENSIONS, CODES, reference=windows[0], current=windows[1])


def _sums(decisions: Ints, positive: Ints, negative: Ints, weight: Floats) -> WindowSums:
    return window_sums(
        (positive * weight).sum(axis=1),
        (negative * weight).sum(axis=1),
        square_positive=(positive * weight**2).sum(axis=1),
        square_negative=(negative * weight**2).sum(axis=1),
        decisions=decisions,
    )


def named(found: Explanation, count: int) -> list[Planted]:
    """The first causes."""
    return [Planted(cause.factor, cause.segment) for cause in found.causes[:count]]


def hits_of_one(
    rng: np.random.Generator, *, runs: int, labels: float, points: float, factor: Factor | None = None
) -> tuple[dict[Factor, list[bool]], int]:
    """For each kind of cause whether each run named it first, and how many runs named nothing."""
    hits: dict[Factor, list[bool]] = {kind: [] for kind in KINDS}
    silent = 0
    for run in range(runs):
        kind = factor or KINDS[run % len(KINDS)]
        there = world(rng)
        planted = _planted(there, rng, kind, points)
        found = explain(draw(there, rng, labels=labels))
        hits[kind].append([planted] == named(found, 1))
        silent += not found.causes
    return hits, silent


def _planted(there: World, rng: np.random.Generator, kind: Factor, points: float) -> Planted:
    # Shifts of shares carry half of the points: no mix moves precision by as much as a fault does.
    shifted = kind in {Factor.MIX, Factor.SAMPLING}
    return plant(there, rng, kind, points=points / 2 if shifted else points, orders=(1, 2) if shifted else (1, 2, 3))


def hits_of_two(rng: np.random.Generator, *, runs: int, labels: float, points: float) -> list[bool]:
    """Whether each run named both of two planted causes as its first two, in any order."""
    hits = []
    for _ in range(runs):
        there = world(rng)
        kinds = [KINDS[place] for place in rng.choice(len(KINDS), size=2, p=(0.6, 0.1, 0.1, 0.1, 0.1), replace=True)]
        if kinds[0] is kinds[1] and kinds[0] is not Factor.WITHIN:
            kinds[1] = Factor.WITHIN
        planted = [_planted(there, rng, kind, points) for kind in kinds]
        found = named(explain(draw(there, rng, labels=labels)), 2)
        hits.append(len(found) == 2 and all(cause in found for cause in planted))
    return hits


def false_names(rng: np.random.Generator, *, runs: int, labels: float) -> int:
    """Runs that named something although nothing changed but volumes, by 5 %."""
    return sum(bool(explain(draw(world(rng), rng, labels=labels)).causes) for _ in range(runs))
