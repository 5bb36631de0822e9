"""Every streaming detector on streams whose changes are known, beside detectors that do not look at the data.

Run: `python -m tests.studies.evaluation`. A detector is replaced after each alarm. The calibrated ones (`CALIBRATED`)
are then given mean and standard deviation of the next observations, say nothing while these last, and are set for one
false alarm in 10,000; all others have their defaults. Whatever is in the union of `detectors` is in the tables.
"""

from __future__ import annotations

import argparse
import math
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from river import datasets as river_datasets
from river import tree
from river.drift import datasets as annotated

from detectors import AnyDetector, Spec
from detectors.arrays import Bools, Floats
from detectors.evaluation import Score, evaluate
from tests.bench.tables import Table, begin, show

SMALL: Final = "--runs 1 --apart 300 --baseline 100 --tolerance 200 --only adwin,page_hinkley,cusum --learn 100"

WANTED: Final = 10_000.0
CHANGES: Final = 3
AT_ONCE: Final = 250
KINDS: Final[tuple[type[Spec], ...]] = typing.get_args(AnyDetector)

Values = Callable[[np.random.Generator, Floats], Floats]


def kind_name(kind: type[Spec]) -> str:
    """What a configuration calls it."""
    return str(kind.__struct_config__.tag)


def _share(mean: float) -> float:
    return min(max(mean, 0.02), 0.98)


def _doubled_odds(mean: float) -> float:
    p = _share(mean)
    return 2 * p / (1 + p)


# What each is set to from mean and standard deviation of a baseline. Slack and threshold of Page-Hinkley are those of a
# CUSUM with about the wanted run length on normal values. A kind that is not here has its defaults.
CALIBRATED: Final[Mapping[str, Callable[[float, float], dict[str, Any]]]] = {
    "page_hinkley": lambda _, sd: {"slack": sd / 4, "threshold": 14.5 * sd},
    "cusum": lambda mean, sd: {"target": mean, "sigma": sd, "slack": 0.25, "average_run_length": WANTED},
    "ewma": lambda mean, sd: {"target": mean, "sigma": sd, "average_run_length": WANTED},
    "bernoulli_cusum": lambda mean, _: {
        "p0": round(_share(mean), 2),
        "p1": round(_doubled_odds(mean), 2),
        "average_run_length": WANTED,
        "direction": "both",
    },
    "poisson_cusum": lambda mean, sd: {
        "mean0": round(max(mean, 0.1), 1),
        "mean1": round(max(mean, 0.1) + max(sd / 2, 0.2), 1),
        "average_run_length": WANTED,
        "direction": "both",
    },
    "e_sr": lambda mean, _: {
        "mean": _share(mean),
        "smallest_change": 0.25 * min(_share(mean), 1 - _share(mean)),
        "average_run_length": WANTED,
        "direction": "both",
    },
    "confidence_sequence": lambda mean, _: {
        "target": _share(mean),
        "alpha": 2000 / WANTED,
        "period": 2000,
        "direction": "both",
    },
}
CALIBRATED_LIKE: Final = {"e_cusum": "e_sr"}


@dataclass(frozen=True, slots=True)
class Family:
    """Values around a level, which changes from `low` to `high`; `domain` as `detectors.Domain` names it."""

    domain: str
    low: float
    high: float
    draw: Values


FAMILIES: Final[Mapping[str, Family]] = {
    "Bernoulli .1, .2": Family("binary", 0.1, 0.2, lambda rng, level: (rng.random(len(level)) < level).astype(float)),
    "Beta, mean .2, .25, sd .09": Family("unit", 0.2, 0.25, lambda rng, level: rng.beta(20 * level, 20 * (1 - level))),
    "normal, mean 0, .5, sd 1": Family("real", 0.0, 0.5, lambda rng, level: rng.normal(level)),
    "Poisson 4, 5": Family("count", 4.0, 5.0, lambda rng, level: rng.poisson(level).astype(float)),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """What all tables share."""

    kinds: Sequence[type[Spec]]
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Values and where they change; `shape` says how."""

    shape: str
    values: Floats
    changes: tuple[int, ...]


def places(rng: np.random.Generator, *, apart: int) -> tuple[int, ...]:
    """Where changes begin: up to a third later than regular, so that nothing that alarms regularly keeps their time."""
    return tuple(apart * (number + 1) + int(rng.integers(apart // 3)) for number in range(CHANGES))


def weights(shape: str, rng: np.random.Generator, *, apart: int) -> tuple[Floats, tuple[int, ...]]:
    """How much of the second level there is at each observation, and where changes begin."""
    time = np.arange(apart * (CHANGES + 1))
    changes = places(rng, apart=apart)
    if shape in {"none", "seasonal without change"}:
        changes = ()
    number = np.searchsorted(changes, time, side="right")
    since = time - np.array([0, *changes])[number]
    level = number / CHANGES if shape == "stairs" else (number % 2).astype(np.float64)
    if shape in {"gradual", "incremental"}:
        ramp = np.where(number > 0, np.minimum(since / (apart / 6), 1.0), 1.0)
        share = np.where(number % 2 == 1, ramp, np.where(number > 0, 1.0 - ramp, 0.0))
        level = share if shape == "incremental" else (rng.random(len(time)) < share).astype(np.float64)
    if shape.startswith("seasonal"):
        level = level + 0.3 * np.sin(2 * np.pi * time / (apart / 3))
    return level, changes


SHAPES: Final = ("abrupt and back", "gradual", "incremental", "stairs", "seasonal", "none", "seasonal without change")


def simulated(family: Family, *, runs: int, apart: int, seed: int) -> list[Stream]:
    """Streams of all shapes."""
    made = []
    for number, shape in enumerate(SHAPES):
        for turn in range(runs):
            rng = np.random.default_rng([seed, number, turn])
            weight, changes = weights(shape, rng, apart=apart)
            values = family.draw(rng, family.low + (family.high - family.low) * weight)
            made.append(Stream(shape, values, changes))
    return made


def errors(*, runs: int, apart: int, learn: int, seed: int) -> list[Stream]:
    """Errors of a Hoeffding tree that learned the first concept of River's SEA, STAGGER and Sine and then no more."""
    synth = river_datasets.synth
    concepts: dict[str, Callable[[int, int], Any]] = {
        "SEA": lambda concept, number: synth.SEA(variant=concept, seed=number, noise=0.05),
        "STAGGER": lambda concept, number: synth.STAGGER(classification_function=concept % 3, seed=number),
        "Sine": lambda concept, number: synth.Sine(classification_function=concept, seed=number),
    }
    made = []
    for name, source in concepts.items():
        for turn in range(runs):
            model = tree.HoeffdingTreeClassifier(grace_period=50)
            for x, y in source(0, seed + turn).take(learn):
                model.learn_one(x, y)
            changes = places(np.random.default_rng([seed, turn]), apart=apart)
            ends = (*changes, apart * (CHANGES + 1))
            wrong = [
                float(model.predict_one(x) != y)
                for concept, (first, end) in enumerate(pairwise((0, *ends)))
                for x, y in source(concept, 100 + seed + 10 * turn + concept).take(end - first)
            ]
            made.append(Stream(name, np.array(wrong), changes))
    return made


def consensus(annotations: Mapping[str, Sequence[int]], *, within: int = 10) -> tuple[int, ...]:
    """Change points that at least half of the annotators name, the same one if no more than `within` apart."""
    named = sorted({(place, who) for who, places in annotations.items() for place in places})
    groups: list[list[tuple[int, str]]] = []
    for place, who in named:
        if groups and place - groups[-1][-1][0] <= within:
            groups[-1].append((place, who))
        else:
            groups.append([(place, who)])
    agreed = [group for group in groups if 2 * len({who for _, who in group}) >= len(annotations)]
    return tuple(int(np.median([place for place, _ in group])) for group in agreed)


def recorded(*, baseline: int) -> list[Stream]:
    """River's annotated series that need no other package, in standard deviations of their beginning."""
    made = []
    for kind in (
        annotated.AirlinePassengers,
        annotated.Bitcoin,
        annotated.BrentSpotPrice,
        annotated.Occupancy,
        annotated.RunLog,
        annotated.UKCoalEmploy,
    ):
        source = kind()
        raw = [next(iter(y.values())) if isinstance(y, dict) else y for _, y in source]
        values = np.array([float(value) for value in raw])
        begins = values[:baseline]
        changes = tuple(place for place in consensus(source.annotations) if place < len(values))
        made.append(Stream(kind.__name__, (values - begins.mean()) / (begins.std() or 1.0), changes))
    return made


def specification(kind: type[Spec], *, mean: float, sd: float) -> Spec:
    """A specification for a series with this mean and standard deviation."""
    name = kind_name(kind)
    settings = CALIBRATED.get(CALIBRATED_LIKE.get(name, name))
    return kind(**settings(mean, max(sd, 1e-3))) if settings else kind()


def alarms(kind: type[Spec], values: Floats, *, baseline: int) -> Iterator[int]:
    """Places of the alarms; after each a new detector, with a new baseline if it is one that needs it."""
    needs = CALIBRATED_LIKE.get(kind_name(kind), kind_name(kind)) in CALIBRATED
    place = 0
    while place < len(values):
        begins = values[place : place + baseline]
        if needs and len(begins) < baseline:
            return
        logic = specification(kind, mean=float(begins.mean()), sd=float(begins.std())).build()
        place += baseline if needs else 0
        while place < len(values):
            told: Bools = logic.update_many(values[place : place + AT_ONCE]).alarm
            if told.any():
                place += int(np.argmax(told)) + 1
                yield place - 1
                break
            place += AT_ONCE


def until_found(spec: Spec, values: Floats, *, change: int) -> Iterator[int]:
    """Places of the alarms with a fresh start after each, up to the first one that the change may have caused."""
    logic, place = spec.build(), 0
    while place < len(values):
        told: Bools = logic.update_many(values[place : place + AT_ONCE]).alarm
        if told.any():
            place += int(np.argmax(told)) + 1
            yield place - 1
            if place > change:
                return
            logic = spec.build()
        else:
            place += AT_ONCE


def suits(kind: type[Spec], domain: str) -> bool:
    """Whether a detector takes such values."""
    wider = {"binary": ("binary", "unit", "real"), "unit": ("unit", "real"), "count": ("count", "real")}
    return kind.domain.value in wider.get(domain, (domain,))


def cells(name: str, score: Score, chance: str = "") -> tuple[str, ...]:
    """A row."""
    rate = score.false_alarm_rate
    between = float(rate.mean_between)
    return (
        name,
        f"{score.mean_delay:.0f}" if score.detected else "none",
        "" if math.isnan(score.restricted_delay) else f"{score.restricted_delay:.0f}",
        f"{100 * score.missed / score.changes:.0f}" if score.changes else "",
        f"{1e4 * float(rate.rate):.2f} ({1e4 * float(rate.lower):.2f}-{1e4 * float(rate.upper):.2f})",
        f"> {float(rate.mean_between_lower):,.0f}" if math.isnan(between) else f"{between:,.0f}",
        f"{score.f1:.2f}" if score.changes else "",
        chance,
    )


COLUMNS: Final = (
    *("detector", "delay", "delay, missed as tolerance", "missed, %", "false alarms per 10,000 (95 %)"),
    *("mean time between false alarms", "F1", "F1 by chance"),
)


def known_level(setting: Setting, name: str, family: Family, *, runs: int, apart: int, tolerance: int) -> Table:
    """One abrupt change; the calibrated know mean and standard deviation in control."""
    long = family.draw(np.random.default_rng(setting.seed), np.full(200_000, family.low))
    values, changes = [], []
    for turn in range(runs):
        rng = np.random.default_rng([setting.seed, turn])
        change = places(rng, apart=apart)[0]
        level = np.repeat([family.low, family.high], [change, tolerance + 1])
        values.append(family.draw(rng, level))
        changes.append([change])
    lengths = [len(one) for one in values]
    rows = []
    for kind in setting.kinds:
        if suits(kind, family.domain):
            spec = specification(kind, mean=float(long.mean()), sd=float(long.std()))
            told = [list(until_found(spec, one, change=at)) for one, (at,) in zip(values, changes, strict=True)]
            found = evaluate(told, changes, lengths=lengths, tolerance=tolerance)
            rows.append(cells(kind_name(kind), found.score, f"{found.chance.f1:.2f}"))
    beside = evaluate([[]] * runs, changes, lengths=lengths, tolerance=tolerance)
    rows.append(cells(f"always fire, every {beside.every}", beside.always_fire))
    rows.append(cells("never fire", beside.never_fire))
    return Table(
        title=f"{name}: one abrupt change, the level before it known",
        columns=COLUMNS,
        rows=rows,
        notes=(
            f"{runs} streams of {apart:,} values or more in control and {tolerance:,} after the change.",
            "Those with defaults know nothing before; `fhddm` looks for falls only.",
        ),
    )


def table(
    setting: Setting, title: str, streams: Sequence[Stream], *, domain: str, tolerance: int, baseline: int
) -> tuple[Table, list[tuple[str, Stream, list[int]]]]:
    """The scores of all detectors that take these values, and the alarms of each."""
    changes, lengths = [stream.changes for stream in streams], [len(stream.values) for stream in streams]
    rows, found = [], []
    evaluation = None
    for kind in setting.kinds:
        if not suits(kind, domain):
            continue
        told = [list(alarms(kind, stream.values, baseline=baseline)) for stream in streams]
        evaluation = evaluate(told, changes, lengths=lengths, tolerance=tolerance)
        rows.append(cells(kind_name(kind), evaluation.score, f"{evaluation.chance.f1:.2f}"))
        found += [(kind_name(kind), stream, places) for stream, places in zip(streams, told, strict=True)]
    evaluation = evaluation or evaluate([[] for _ in streams], changes, lengths=lengths, tolerance=tolerance)
    rows.append(cells(f"always fire, every {evaluation.every}", evaluation.always_fire))
    rows.append(cells("never fire", evaluation.never_fire))
    size = f"{len(streams)} streams, {sum(lengths):,} values, {evaluation.score.changes} changes"
    notes = (
        f"{size}, tolerance {tolerance}, baseline {baseline}. `> x`: no false alarm, 95 % limit.",
        "Delay is of the changes found. While a calibrated detector learns its baseline it is silent.",
    )
    return Table(title=title, columns=COLUMNS, rows=rows, notes=notes), found


def by_shape(found: Sequence[tuple[str, Stream, list[int]]], *, tolerance: int) -> Table:
    """Missed changes of each shape; false alarms where there is no change."""
    names = list(dict.fromkeys(name for name, _, _ in found))
    rows = []
    for name in names:
        row = [name]
        for shape in SHAPES:
            taken = [(stream, places) for who, stream, places in found if who == name and stream.shape == shape]
            told = evaluate(
                [places for _, places in taken],
                [stream.changes for stream, _ in taken],
                lengths=[len(stream.values) for stream, _ in taken],
                tolerance=tolerance,
            ).score
            shown = 100 * told.missed / told.changes if told.changes else 1e4 * float(told.false_alarm_rate.rate)
            row.append(f"{shown:.0f}" if told.changes else f"{shown:.1f}")
        rows.append(tuple(row))
    return Table(
        title="By shape, all families: missed changes, %; without a change false alarms per 10,000",
        columns=("detector", *SHAPES),
        rows=rows,
        notes=("A rhythm is no change: a sine of 30 % of the size of a change, three periods between two changes.",),
    )


def run(arguments: Sequence[str]) -> list[Table]:
    """Simulate and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="streams of each shape and family")
    parser.add_argument("--apart", type=int, default=3000, help="observations between changes")
    parser.add_argument("--baseline", type=int, default=500, help="observations that the calibrated are set from")
    parser.add_argument("--tolerance", type=int, default=1000, help="delay up to which a change is found")
    parser.add_argument("--learn", type=int, default=2000, help="observations that the model of the error streams gets")
    parser.add_argument("--only", default="", help="kinds of detectors; default: all")
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args(arguments)
    wanted = set(told.only.split(",")) if told.only else {kind_name(kind) for kind in KINDS}
    setting = Setting(kinds=[kind for kind in KINDS if kind_name(kind) in wanted], seed=told.seed)
    tables, all_found = [], []
    for name, family in FAMILIES.items():
        tables.append(
            known_level(setting, name, family, runs=10 * told.runs, apart=told.apart, tolerance=told.tolerance)
        )
    for name, family in FAMILIES.items():
        streams = simulated(family, runs=told.runs, apart=told.apart, seed=told.seed)
        one, found = table(
            setting, name, streams, domain=family.domain, tolerance=told.tolerance, baseline=told.baseline
        )
        tables.append(one)
        all_found += found
    tables.append(by_shape(all_found, tolerance=told.tolerance))
    wrong = errors(runs=told.runs, apart=told.apart, learn=told.learn, seed=told.seed)
    title = "Errors of a frozen Hoeffding tree on River's SEA, STAGGER and Sine"
    tables.append(table(setting, title, wrong, domain="binary", tolerance=told.tolerance, baseline=told.baseline)[0])
    title = "River's annotated series, standardised by their beginning"
    tables.append(table(setting, title, recorded(baseline=30), domain="real", tolerance=30, baseline=30)[0])
    return show(tables)


if __name__ == "__main__":
    begin(run)
