"""Readings of a world of traffic against counting its events in plain Python, fractions and SciPy."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy import stats

from monitor.bounds import DRIFT_THRESHOLDS
from monitor.events import Action
from monitor.layout import CategoricalFeature, Layout, NumericFeature
from monitor.ledger import LedgerSettings, ModelLedger
from monitor.readings import Watched, readings
from monitor.reference import Baseline, ModelReference, ReferenceSeries
from monitor.snapshot import Quantity, ReadingColumn, SeriesKey
from monitor.topics import APPEALS, DECISIONS, REPORTS, REVIEWS, SourceTopic
from tests.core.runs import fold, summaries, summarise_settings
from tests.core.strategies import DAY, HOUR, T0, Event, appeal, decision, instant, log, report, review

EDGES = (0.25, 0.5, 0.75)
FEATURES = (
    NumericFeature("length", edges=(0.0, 1.0), low=-1.0, high=2.0),
    CategoricalFeature("kind", categories=("a", "b")),
)
LAYOUT = Layout(thresholds=EDGES, features=FEATURES)
SPANS = {"5m": 5 * 60, "1h": HOUR, "24h": DAY, "7d": 7 * DAY}
ACTED = {"remove", "restrict", "label", "age_gate"}


class World:
    """Decisions of the last ten days with feedback, by an explicit list."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.now = T0 - T0 % 60 + 59
        self.decisions: list[tuple[float, Event]] = []
        self.reviews: list[tuple[Event, Event]] = []
        self.appeals: list[tuple[Event, Event]] = []
        self.reports: list[tuple[Event, Event]] = []
        for number in range(500):
            age = rng.choice(
                (rng.uniform(0, 400), rng.uniform(0, 2 * HOUR), rng.uniform(0, DAY), rng.uniform(0, 10 * DAY))
            )
            made = round(self.now - age, 3)
            event = decision(
                number,
                at=made,
                action=rng.choice(("allow", "remove", "label", "escalate")),
                score=rng.betavariate(2, 3),
                language=rng.choice(("es", "en")),
                features={"length": rng.gauss(0.5, 1), "kind": rng.choice(("a", "b", "c", None))},
            )
            self.decisions.append((made, event))
            if rng.random() < 0.6:
                fields: dict[str, Any] = {
                    "verdict": rng.choice(("violating", "violating", "benign", "unsure")),
                    "source": rng.choice(("audit", "queue", "golden")),
                    "inclusion_probability": rng.choice((None, 1.0, 0.5, 0.3, 0.05)),
                }
                self.reviews.append((review(number, event, **fields), event))
            if rng.random() < 0.3:
                self.appeals.append((appeal(number, event), event))
                if rng.random() < 0.7:
                    stage = rng.choice(("upheld", "overturned", "withdrawn"))
                    self.appeals.append((appeal(number, event, stage=stage), event))
            if rng.random() < 0.2:
                self.reports.append((report(number, event), event))
        self.decisions.sort(key=lambda made: made[0])

    def ledger(self) -> ModelLedger:
        found = ModelLedger("m", LedgerSettings(layout=lambda _: LAYOUT, kinds=(("language",),)))
        settings = summarise_settings(layout=LAYOUT, kinds=(("language",),), block_size=256)
        logs: dict[SourceTopic, list[tuple[float, Event]]] = {
            DECISIONS: self.decisions,
            REVIEWS: [(self.now, event) for event, _ in self.reviews],
            APPEALS: [(self.now, event) for event, _ in self.appeals],
            REPORTS: [(self.now, event) for event, _ in self.reports],
        }
        for source, records in logs.items():
            fold(found, summaries(log(source, [e for _, e in records], at=[at for at, _ in records]), settings))
        found.advance(self.now // 60)
        return found

    def within(self, window: str) -> Callable[[Event], bool]:
        """Whether a decision lies in the window: whole minutes, or for a day and a week whole hours."""
        grain = 60 if window in ("5m", "1h") else HOUR
        begin = self.now // grain * grain + grain - SPANS[window]
        return lambda event: event["occurred_at"] >= instant(begin)


WORLD = World(1)
LEDGER = WORLD.ledger()
SERIES = {key.segment: row for row, key in enumerate(LEDGER.table.series)}
CASES = [(window, segment) for window in SPANS for segment in ("all", "language=es", "language=en")]


def chosen(window: str, segment: str) -> Callable[[Event], bool]:
    within = WORLD.within(window)
    return lambda event: within(event) and segment in ("all", f"language={event['language']}")


def baseline() -> Baseline:
    counts = ReferenceSeries("p", "all", 100, (30, 30, 30, 10), {"length": (40, 30, 20), "kind": (30, 50, 5)})
    return Baseline(ModelReference("m", EDGES, FEATURES, (counts,)))


def read(ledger: ModelLedger, reference: Baseline | None = None) -> tuple[ReadingColumn, ...]:
    [found] = readings([Watched(ledger, reference, DRIFT_THRESHOLDS)])
    return found


FOUND = read(LEDGER, baseline())


def column(quantity: Quantity, window: str, *, method: str = "", told: str = "") -> ReadingColumn:
    (one,) = [
        one
        for one in FOUND
        if (one.quantity, one.window) == (quantity, window) and method in ("", one.method) and told in ("", one.input)
    ]
    return one


def ratio(over: int, under: int) -> float:
    return over / under if under else math.nan


def same(expected: float, actual: float) -> bool:
    return math.isclose(expected, actual, rel_tol=1e-12) or (math.isnan(expected) and math.isnan(actual))


@pytest.mark.parametrize(("window", "segment"), CASES)
def test_volumes_and_rates_are_counts_of_events(window: str, segment: str) -> None:
    inside, row = chosen(window, segment), SERIES[segment]
    made = [event for _, event in WORLD.decisions if inside(event)]
    acted = [event for event in made if event["action"] in ACTED]
    stages = [step["stage"] for step, about in WORLD.appeals if inside(about)]
    reports = sum(inside(about) for _, about in WORLD.reports)
    decided = stages.count("upheld") + stages.count("overturned")
    expected = {
        Quantity.VOLUME: (len(made), len(made)),
        Quantity.ACTION_RATE: (ratio(len(acted), len(made)), len(made)),
        Quantity.APPEAL_RATE: (ratio(stages.count("filed"), len(acted)), len(acted)),
        Quantity.OVERTURN_SHARE: (ratio(stages.count("overturned"), decided), decided),
        Quantity.REPORT_RATE: (ratio(reports, len(made)), len(made)),
    }
    for quantity, (value, sample) in expected.items():
        one = column(quantity, window)
        assert sample == one.sample[row]
        assert same(value, one.value[row]), quantity


@pytest.mark.parametrize(("window", "segment"), CASES)
def test_the_interval_of_the_overturn_share_is_wilsons(window: str, segment: str) -> None:
    one, row = column(Quantity.OVERTURN_SHARE, window), SERIES[segment]
    assert one.lower is not None
    assert one.upper is not None
    decided = int(one.sample[row])
    if decided == 0:
        assert np.isnan([one.lower[row], one.upper[row]]).all()
        return
    overturned = round(one.value[row] * decided)
    interval = stats.binomtest(overturned, decided).proportion_ci(method="wilson")
    assert (interval.low, interval.high) == pytest.approx((one.lower[row], one.upper[row]), abs=1e-12)


def labels(window: str, segment: str) -> list[tuple[bool, Fraction]]:
    """(violating, weight) of the labels of acted-on decisions."""
    inside = chosen(window, segment)
    return [
        (event["verdict"] == "violating", 1 / Fraction(event["inclusion_probability"]))
        for event, about in WORLD.reviews
        if inside(about)
        and about["action"] in ACTED
        and event["source"] != "golden"
        and event["verdict"] in ("violating", "benign")
        and event["inclusion_probability"] is not None
    ]


@pytest.mark.parametrize(("window", "segment"), CASES)
def test_precision_is_hajeks_share_of_weights_in_exact_fractions(window: str, segment: str) -> None:
    known, row = labels(window, segment), SERIES[segment]
    one = column(Quantity.PRECISION, window)
    assert "hajek" == one.method
    if not known:
        assert math.isnan(one.value[row])
        assert 0 == one.sample[row]
        return
    total = sum(weight for _, weight in known)
    share = sum(weight for violating, weight in known if violating) / total
    assert one.value[row] == pytest.approx(float(share), rel=1e-8)
    assert 0 < one.sample[row] <= len(known) * 1.5
    assert one.lower is not None
    assert one.upper is not None
    assert one.lower[row] <= one.value[row] <= one.upper[row]


@pytest.mark.parametrize(("right", "wrong"), [(7, 3), (40, 0), (0, 5), (199, 1)])
def test_with_one_probability_for_all_the_interval_is_wilsons_or_the_exact_one_of_few_labels(
    right: int, wrong: int
) -> None:
    events = [
        review(n, decision(n), inclusion_probability=0.25, verdict="violating" if n < right else "benign")
        for n in range(right + wrong)
    ]
    one = ModelLedger("m", LedgerSettings(layout=lambda _: LAYOUT))
    fold(one, summaries(log(REVIEWS, events), summarise_settings(layout=LAYOUT, block_size=1024)))
    (found,) = [c for c in read(one) if c.quantity is Quantity.PRECISION and c.window == "5m"]
    assert found.lower is not None
    assert found.upper is not None
    assert right / (right + wrong) == pytest.approx(found.value[0])
    assert right + wrong == pytest.approx(found.sample[0], abs=1e-4)
    interval = stats.binomtest(right, right + wrong).proportion_ci(method="wilson")
    few = stats.binomtest(wrong, right + wrong, alternative="greater").proportion_ci(method="exact")
    upper = 1 - few.low if 0 < wrong < 5 else interval.high
    assert (interval.low, upper) == pytest.approx((found.lower[0], found.upper[0]), abs=1e-6)


def binned(values: Iterable[float], edges: tuple[float, ...]) -> list[int]:
    counts = [0] * (len(edges) + 1)
    for value in values:
        counts[sum(value > edge for edge in edges)] += 1
    return counts


def psi_by_hand(reference: list[int], current: list[int]) -> float:
    kept = [(r + 0.5, c + 0.5) for r, c in zip(reference, current, strict=True) if r or c]
    if not sum(current):
        return math.nan
    left, right = sum(r for r, _ in kept), sum(c for _, c in kept)
    return sum((c / right - r / left) * math.log((c / right) / (r / left)) for r, c in kept)


@pytest.mark.parametrize(("window", "segment"), CASES)
def test_drift_of_the_score_is_told_by_its_raw_values_in_the_bins_of_the_reference(window: str, segment: str) -> None:
    inside, row = chosen(window, segment), SERIES[segment]
    current = binned((event["score"] for _, event in WORLD.decisions if inside(event)), EDGES)
    reference = [30, 30, 30, 10]
    expected = {"psi": psi_by_hand(reference, current)}
    if sum(current):
        p, q = np.array(reference) / sum(reference), np.array(current) / sum(current)
        expected["ks"] = float(np.abs(np.cumsum(p - q)).max())
        points = [0.125, 0.375, 0.625, 0.875]
        expected["wasserstein"] = float(stats.wasserstein_distance(points, points, p, q))
    for statistic, value in expected.items():
        one = column(Quantity.DRIFT, window, method=statistic, told="score")
        assert sum(current) == one.sample[row]
        assert DRIFT_THRESHOLDS[statistic] == one.threshold
        assert one.value[row] == pytest.approx(value, rel=1e-9, nan_ok=True), statistic


@pytest.mark.parametrize("window", SPANS)
def test_features_are_missing_out_of_range_and_drift_by_their_raw_values(window: str) -> None:
    inside, row = chosen(window, "all"), SERIES["all"]
    told = [event["features"] for _, event in WORLD.decisions if inside(event)]
    kinds = [one["kind"] for one in told]
    known = [kind for kind in kinds if kind is not None]
    missing = column(Quantity.MISSING, window, told="kind")
    assert (ratio(kinds.count(None), len(kinds)), len(kinds)) == (missing.value[row], missing.sample[row])
    outside = column(Quantity.OUT_OF_RANGE, window, told="kind")
    assert ratio(known.count("c"), len(kinds)) == outside.value[row]
    drift = column(Quantity.DRIFT, window, method="psi", told="kind")
    counts = [known.count("a"), known.count("b"), known.count("c")]
    assert psi_by_hand([30, 50, 5], counts) == pytest.approx(drift.value[row], rel=1e-9)
    lengths = [one["length"] for one in told]
    far = column(Quantity.OUT_OF_RANGE, window, told="length")
    assert ratio(sum(not -1 <= length <= 2 for length in lengths), len(lengths)) == far.value[row]
    psi = column(Quantity.DRIFT, window, method="psi", told="length")
    assert psi_by_hand([40, 30, 20], binned(lengths, (0.0, 1.0))) == pytest.approx(psi.value[row], rel=1e-9)


def test_statistics_that_need_an_order_or_a_place_are_left_out_where_there_is_none() -> None:
    by_input = defaultdict(set)
    for one in FOUND:
        if one.quantity is Quantity.DRIFT:
            by_input[one.input].add(one.method)
    assert set(DRIFT_THRESHOLDS) == by_input["score"]
    assert {"psi", "jensen_shannon", "ks"} == by_input["length"]
    assert {"psi", "jensen_shannon"} == by_input["kind"]


def test_without_a_reference_nothing_drifts() -> None:
    assert Quantity.DRIFT not in {one.quantity for one in read(LEDGER)}


def test_a_series_whose_policy_the_reference_lacks_has_no_sample_to_compare() -> None:
    empty = Baseline(ModelReference("m", EDGES, FEATURES, ()))
    for one in read(LEDGER, empty):
        if one.quantity is Quantity.DRIFT:
            assert np.isnan(one.value).all()
            assert not one.sample.any()


def test_positive_actions_of_the_configuration_are_the_domain_of_precision() -> None:
    layout = Layout(positive_actions={Action.ALLOW})
    one = ModelLedger("m", LedgerSettings(layout=lambda _: layout))
    events: list[Any] = [
        review(1, decision(1, action="allow")),
        review(2, decision(2, action="remove"), verdict="benign"),
    ]
    fold(one, summaries(log(REVIEWS, events), summarise_settings(layout=layout)))
    (found, *_) = [c for c in read(one) if c.quantity is Quantity.PRECISION]
    assert 1.0 == found.value[0]
    assert 1.0 == pytest.approx(found.sample[0])


def test_every_column_has_a_row_for_every_series() -> None:
    assert isinstance(LEDGER.table.series[0], SeriesKey)
    for one in FOUND:
        arrays = (one.value, one.sample, one.lower, one.upper, one.p_value)
        assert {(len(LEDGER.table.series),)} == {array.shape for array in arrays if array is not None}


def test_a_window_may_stand_for_more_decisions_than_a_busy_week_has() -> None:
    settings = summarise_settings(layout=LAYOUT, block_size=65_536)
    events = [review(n, decision(1), inclusion_probability=1e-5) for n in range(8)]
    one = ModelLedger("m", LedgerSettings(layout=lambda _: LAYOUT))
    fold(one, summaries(log(REVIEWS, events), settings))
    for window in one.cohorts._windows.values():
        window *= 10**7  # 80 million labels of 1e5 decisions each
    found = read(one)
    assert {1.0} == {c.value[0] for c in found if c.quantity is Quantity.PRECISION}


def test_models_read_together_say_what_each_says_alone() -> None:
    other = World(2).ledger()
    layout = Layout(positive_actions={Action.ALLOW}, thresholds=(0.33,))
    few = ModelLedger("few", LedgerSettings(layout=lambda _: layout, kinds=()))
    events: list[Any] = [review(1, decision(1, action="allow"), inclusion_probability=0.1)]
    fold(few, summaries(log(REVIEWS, events), summarise_settings(layout=layout)))
    none = ModelLedger("none", LedgerSettings(layout=lambda _: LAYOUT))
    watched = [(few, None), (LEDGER, baseline()), (none, None), (other, None), (LEDGER, None)]

    together = readings([Watched(ledger, reference, DRIFT_THRESHOLDS) for ledger, reference in watched])

    assert [len(ledger.table.series) for ledger, _ in watched] == [len(found[0].value) for found in together]
    for (ledger, reference), found in zip(watched, together, strict=True):
        for alone, one in zip(read(ledger, reference), found, strict=True):
            assert (alone.quantity, alone.window, alone.method, alone.input) == (
                one.quantity,
                one.window,
                one.method,
                one.input,
            )
            for name in ("value", "sample", "lower", "upper", "p_value"):
                np.testing.assert_array_equal(getattr(alone, name), getattr(one, name))
    assert [] == readings([])
