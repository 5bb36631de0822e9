"""Declared inclusion probabilities are the real ones, are written where they must be, and break only when scripted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from monitor.events import Action, Decision, ReviewSource
from monitor.simulate.designs import AnyDesign, ByScore, BySegment, Uniform
from monitor.simulate.incidents import BrokenDesign
from tests.simulate.helpers import decisions, log, model, reviews, scenario

DESIGNS: list[AnyDesign] = [
    Uniform(design_id="uniform", probability=0.08),
    ByScore(design_id="by-score", edges=(0.25, 0.5, 0.9), bins=(0.01, 0.1, 0.5, 1.0)),
    BySegment(design_id="by-segment", scope="acted", segments={"language=es": 0.6, "policy=spam": 0.05}, default=0.2),
]


def declared_probability(design: AnyDesign, one: Decision) -> float | None:
    """The design read as a person would, one decision at a time."""
    if design.scope == "acted" and one.action in (Action.ALLOW, Action.ESCALATE):
        return None
    if isinstance(design, Uniform):
        return design.probability
    if isinstance(design, ByScore):
        return design.bins[sum(one.score >= edge for edge in design.edges)]
    for segment, probability in design.segments.items():
        dimension, value = segment.split("=")
        if getattr(one, dimension) == value:
            return probability
    return design.default


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.design_id)
def test_every_decision_states_its_probability_and_the_sample_keeps_it(design: AnyDesign) -> None:
    strata: dict[float, list[bool]] = {}
    for one in decisions(log(scenario(model(rate=6000, audit=design)), minutes=4)):
        expected = declared_probability(design, one)
        assert expected == one.inclusion_probability
        assert (None if expected is None else design.design_id) == one.design_id
        assert one.sampled is not None
        assert expected is not None or not one.sampled
        if expected is not None:
            strata.setdefault(expected, []).append(one.sampled)
    for probability, sampled in strata.items():
        assert binomtest(sum(sampled), len(sampled), probability).pvalue > 1e-3


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.design_id)
def test_exactly_the_sampled_are_audited_and_the_review_repeats_the_probability(design: AnyDesign) -> None:
    batches = log(scenario(model(rate=6000, audit=design)), minutes=4)
    sampled = {one.decision_id: one for one in decisions(batches) if one.sampled}
    audits = {one.decision_id: one for one in reviews(batches) if one.source is ReviewSource.AUDIT}
    assert set(sampled) == set(audits)
    for key, audit in audits.items():
        assert sampled[key].inclusion_probability == audit.inclusion_probability
        assert design.design_id == audit.design_id


def test_queue_reviews_state_no_probability_and_prefer_high_scores() -> None:
    batches = log(scenario(model(rate=6000, audit=DESIGNS[0])), minutes=4)
    queue = [one for one in reviews(batches) if one.source is ReviewSource.QUEUE]
    assert {(None, None)} == {(one.inclusion_probability, one.design_id) for one in queue}
    scores = [one.decision.score or 0.0 for one in queue if one.decision is not None]
    everyone = [one.score for one in decisions(batches)]
    assert sum(scores) / len(scores) > 2 * sum(everyone) / len(everyone)


def test_a_broken_design_samples_otherwise_than_it_says_only_while_it_is_broken() -> None:
    broken = BrokenDesign(start_minute=2, minutes=2, factor=0.25, minimum_score=0.5)
    batches = log(scenario(model(rate=6000, audit=DESIGNS[0]), incidents=(broken,)), minutes=6)

    def p_value(minutes: range, *, high: bool) -> float:
        flags = [
            bool(one.sampled)
            for minute in minutes
            for one in decisions([batches[minute]])
            if (one.score >= 0.5) == high
        ]
        return float(binomtest(sum(flags), len(flags), 0.08).pvalue)

    assert p_value(range(2), high=True) > 1e-3
    assert p_value(range(4, 6), high=True) > 1e-3
    assert p_value(range(2, 4), high=False) > 1e-3
    assert p_value(range(2, 4), high=True) < 1e-6


def test_without_a_design_nothing_is_stated_and_nobody_audits() -> None:
    batches = log(scenario(model()))
    assert {(None, None, None)} == {
        (one.sampled, one.inclusion_probability, one.design_id) for one in decisions(batches)
    }
    assert ReviewSource.AUDIT not in {one.source for one in reviews(batches)}


@given(edges=st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=1, max_size=3), bins=st.integers(1, 5))
def test_a_score_design_needs_increasing_edges_and_one_bin_more(edges: list[float], bins: int) -> None:
    def build() -> ByScore:
        return ByScore(design_id="d", edges=tuple(edges), bins=(0.5,) * bins)

    if edges == sorted(set(edges)) and bins == len(edges) + 1:
        build()
    else:
        with pytest.raises(ValueError, match=r"edges have to increase|edges need"):
            build()
