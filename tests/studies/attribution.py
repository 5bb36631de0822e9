"""Attribution: are planted causes of a fall in precision named, and how often is something named where nothing changed?

Traffic of 8 policies x 6 languages x 5 regions x 3 modalities, 2 model versions and 2 rule-books of the reviewers:
2,880 cells with log-normal volumes that vary by 5 % from window to window (log-normal, cell by cell, beyond counting).
Precision has effects of every value (sd .5 on the logit) and of every cell (sd .2). Labels are drawn with probabilities
that depend on policy and score; most cells have none or one. A run counts as a hit only if factor and segment are
exactly those planted; a parent or a child does not count.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy
import scipy.optimize

from detectors.arrays import Bools, Floats, Ints
from detectors.attribution import Cells, Dimension, Explanation, Factor, Role, WindowSums, cells, explain, window_sums
from tests.bench.tables import Table, begin, show

SMALL: Final = "--runs 5 --runs-two 2 --runs-none 3 --runs-each 1"

DECISIONS: Final = 2_000_000
SCORE_BINS: Final = np.array([-0.8, 0.0, 1.0])
"""Low, middle and high scores, each a third of the decisions: what they add to the logit of precision."""
REVIEWED: Final = np.array([1.6, 1.0, 0.4])
"""How much more often they are reviewed than the middle ones."""
KINDS: Final = (Factor.WITHIN, Factor.MIX, Factor.VERSION, Factor.REVIEWER, Factor.SAMPLING)

Segment = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Cube:
    """The dimensions, four of segments and then model and rule-book, and every combination of their values."""

    dimensions: tuple[Dimension, ...]
    codes: Ints

    @property
    def new_model(self) -> Bools:
        """The cells of the second model version."""
        return self.codes[:, 4] == 1

    @property
    def new_rules(self) -> Bools:
        """The cells of the second rule-book."""
        return self.codes[:, 5] == 1


def cube(policies: int = 8, languages: int = 6, regions: int = 5, modalities: int = 3) -> Cube:
    """All cells of so many values."""
    sizes = {"policy": policies, "language": languages, "region": regions, "modality": modalities}
    dimensions = (
        *(Dimension(name, tuple(f"{name}-{value}" for value in range(size))) for name, size in sizes.items()),
        Dimension("model", ("v1", "v2"), Role.VERSION),
        Dimension("rulebook", ("old", "new"), Role.REVIEWER),
    )
    codes = np.indices([len(axis.values) for axis in dimensions]).reshape(len(dimensions), -1).T
    return Cube(dimensions, codes.astype(np.int64))


@dataclass(frozen=True, slots=True)
class Planted:
    """A cause as it should be named."""

    factor: Factor
    segment: Segment


@dataclass(slots=True)
class World:
    """Both windows (axis 0) in each cell, before labels are drawn."""

    cube: Cube
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


def world(rng: np.random.Generator, space: Cube) -> World:
    """Two windows between which only volumes vary."""
    codes = space.codes
    popularity, logit = np.zeros(len(codes)), np.zeros(len(codes))
    place = np.unique(codes[:, :4], axis=0, return_inverse=True)[1].reshape(-1)
    count = int(place.max()) + 1
    policy_inclusion = np.exp(0.5 * rng.standard_normal(len(space.dimensions[0].values)))
    for column in range(4):
        size = len(space.dimensions[column].values)
        popularity += 0.6 * rng.standard_normal(size)[codes[:, column]]
        logit += 0.5 * rng.standard_normal(size)[codes[:, column]]
    popularity += 0.5 * rng.standard_normal(count)[place]
    logit += 0.2 * rng.standard_normal(count)[place] - logit.mean() + 2.6
    volume = np.exp(popularity + 0.05 * rng.standard_normal((2, count))[:, place])
    return World(
        cube=space,
        volume=volume,
        model=np.tile(np.where(space.new_model, 0.1, 0.9), (2, 1)),
        rulebook=np.tile(np.where(space.new_rules, 0.2, 0.8), (2, 1)),
        logit=np.tile(logit, (2, 1)),
        inclusion=np.tile(policy_inclusion[codes[:, 0]], (2, 1)),
        unrecorded=np.ones((2, len(codes))),
    )


def _somewhere(rng: np.random.Generator, space: Cube, order: int) -> tuple[Segment, Bools]:
    """A random crossing of `order` values of segments, and its cells."""
    chosen = sorted(rng.choice(4, size=order, replace=False).tolist())
    axes = [space.dimensions[place] for place in chosen]
    values = [int(rng.integers(len(axis.values))) for axis in axes]
    inside = np.all(space.codes[:, chosen] == values, axis=1)
    return tuple((axis.name, axis.values[code]) for axis, code in zip(axes, values, strict=True)), inside


def plant(
    there: World, rng: np.random.Generator, factor: Factor, *, points: float, orders: Sequence[int] = (1, 2, 3)
) -> Planted | None:
    """Change the current window so that precision falls by `points`, somewhere; None if no place found can carry it."""
    precision, share = there.precision[1], there.traffic[1] / there.traffic[1].sum()
    everywhere = np.ones(len(there.cube.codes), dtype=np.bool_)
    if factor is Factor.VERSION:
        new, gained = there.cube.new_model, float(rng.uniform(0.4, 0.6))
        if rng.random() < 0.5:  # launched with or without a canary in the reference
            there.model[0] = np.where(new, 0.0, 1.0)
        there.model[1] = there.model[0] + np.where(new, gained, -gained)
        _worse(there, new, everywhere, drop=points / gained, windows=(0, 1))
        return Planted(factor, (("model", "v2"),))
    if factor is Factor.REVIEWER:
        new, gained = there.cube.new_rules, float(rng.uniform(0.4, 0.6))
        there.rulebook[1] = there.rulebook[0] + np.where(new, gained, -gained)
        _worse(there, new, everywhere, drop=points / gained, windows=(0, 1))
        return Planted(factor, (("rulebook", "new"),))
    for _ in range(300):
        segment, inside = _somewhere(rng, there.cube, int(rng.choice(orders)))
        size = float(share[inside].sum())
        rate = float((share * precision)[inside].sum()) / size
        if factor is Factor.WITHIN and 0.02 <= size <= 0.5 and points / size <= rate - 0.2:
            _worse(there, inside, inside, drop=points / size, windows=(1,))
            return Planted(factor, segment)
        growth = _growth(size, rate, float((share * precision).sum()), points=points)
        if factor is not Factor.WITHIN and growth is not None:
            (there.volume if factor is Factor.MIX else there.unrecorded)[1, inside] *= growth
            return Planted(factor, segment)
    return None


def _growth(size: float, rate: float, whole: float, *, points: float) -> float | None:
    """By how much a segment worse than the rest has to grow for the whole to fall by `points`; None if by too much."""
    rest = (whole - size * rate) / (1.0 - size)
    if size < 0.01 or not rate < rest - 0.03:
        return None
    grown = size + points / (rest - rate)
    growth = grown / (1.0 - grown) * (1.0 - size) / size if grown <= 0.6 else np.inf
    return growth if growth <= 8.0 else None


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
    return cells(there.cube.dimensions, there.cube.codes, reference=windows[0], current=windows[1])


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


def plant_one(there: World, rng: np.random.Generator, kind: Factor, *, points: float) -> Planted | None:
    """`plant`, at half the points for shifts of traffic and labels: no mix moves precision as much as a fault does."""
    if kind in {Factor.MIX, Factor.SAMPLING}:
        return plant(there, rng, kind, points=points / 2, orders=(1, 2))
    return plant(there, rng, kind, points=points)


def hits_of_one(
    rng: np.random.Generator, space: Cube, *, runs: int, labels: float, points: float, kinds: Sequence[Factor] = KINDS
) -> dict[Factor, list[bool]]:
    """For each kind of cause, in turn, whether each run named it first."""
    hits: dict[Factor, list[bool]] = {kind: [] for kind in kinds}
    for run in range(runs):
        kind = kinds[run % len(kinds)]
        there, planted = _planted(rng, space, (kind,), points)
        hits[kind].append(planted == named(explain(draw(there, rng, labels=labels)), 1))
    return hits


def hits_of_two(rng: np.random.Generator, space: Cube, *, runs: int, labels: float, points: float) -> list[bool]:
    """Whether each run named both of two planted causes as its first two; at least one is a fall within a segment."""
    hits = []
    for run in range(runs):
        there, planted = _planted(rng, space, (Factor.WITHIN, KINDS[run % len(KINDS)]), points)
        found = named(explain(draw(there, rng, labels=labels)), 2)
        hits.append(len(found) == 2 and all(cause in found for cause in planted))
    return hits


def _planted(
    rng: np.random.Generator, space: Cube, kinds: Sequence[Factor], points: float
) -> tuple[World, list[Planted]]:
    """A world with distinct causes of these kinds; worlds that cannot carry them are drawn again."""
    while True:
        there = world(rng, space)
        causes = [plant_one(there, rng, kind, points=points) for kind in kinds]
        distinct = [cause for cause in dict.fromkeys(causes) if cause is not None]
        if len(distinct) == len(kinds):
            return there, distinct


def false_names(rng: np.random.Generator, space: Cube, *, runs: int, labels: float) -> int:
    """Runs that named something although nothing changed but volumes."""
    return sum(bool(explain(draw(world(rng, space), rng, labels=labels)).causes) for _ in range(runs))


def run(arguments: Sequence[str]) -> list[Table]:
    """Hits of one and two causes, names where nothing changed, and what can be found at which size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="runs with one cause")
    parser.add_argument("--runs-two", type=int, default=1000, help="runs with two")
    parser.add_argument("--runs-none", type=int, default=300, help="runs without one")
    parser.add_argument("--runs-each", type=int, default=25, help="runs for each size of fall and of sample")
    parser.add_argument("--labels", type=float, default=8000.0, help="expected labels in each window")
    parser.add_argument("--points", type=float, default=0.03, help="fall of precision that a cause makes")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    rng, space = np.random.default_rng(options.seed), cube()
    setting = f"{options.labels:.0f} labels a window, a cause moves precision by {100 * options.points:g} points"

    one = hits_of_one(rng, space, runs=options.runs, labels=options.labels, points=options.points)
    two = hits_of_two(rng, space, runs=options.runs_two, labels=options.labels, points=options.points)
    nothing = false_names(rng, space, runs=options.runs_none, labels=options.labels)
    rows = [(f"one: {kind}", str(len(hits)), f"{np.mean(hits):.3f}") for kind, hits in one.items()]
    together = [hit for hits in one.values() for hit in hits]
    rows.append(("one: all kinds", str(len(together)), f"{np.mean(together):.3f}"))
    rows.append(("two, a fall within and any other", str(len(two)), f"{np.mean(two):.3f}"))
    rows.append(("none: something named", str(options.runs_none), f"{nothing / options.runs_none:.3f}"))
    planted = Table(
        f"Planted causes named first: {setting}",
        ("planted", "runs", "share"),
        rows,
        (
            "Shifts of traffic and of labels (mix, sampling) move precision by half as much.",
            "A parent, a child or an overlap of what was planted is a miss.",
            "Stated chance that something is named without a cause: at most .05.",
        ),
    )
    falls, sizes = (0.01, 0.02, 0.03, 0.05), (2000.0, 4000.0, 8000.0, 16000.0)
    grid = []
    for fall in falls:
        shares = [
            hits_of_one(rng, space, runs=options.runs_each, labels=size, points=fall, kinds=(Factor.WITHIN,))
            for size in sizes
        ]
        grid.append((f"{100 * fall:g} points", *(f"{np.mean(hits[Factor.WITHIN]):.2f}" for hits in shares)))
    limits = Table(
        f"A fall within a segment or crossing, named first: {options.runs_each} runs each",
        ("fall of the whole", *(f"{size:.0f} labels" for size in sizes)),
        grid,
        ("The power limit: what is missed is mostly not named at all, or as a parent or child.",),
    )
    return show([planted, limits])


if __name__ == "__main__":
    begin(run)
