"""The truth equals a recount of the events, and the closed form of the scenario."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from monitor.events import Action, Verdict
from monitor.simulate.designs import Uniform
from monitor.simulate.scenario import Calibration, Policy, Rhythm
from monitor.simulate.traffic import volume
from tests.simulate.helpers import decisions, log, model, precision, reviews, scenario, total

AUDIT_ALL = Uniform(design_id="census", probability=1.0)


def test_the_truth_equals_a_recount_of_the_decisions_and_their_census_reviews() -> None:
    batches = log(scenario(model(rate=800, audit=AUDIT_ALL), queue=None, retry_share=0.1))
    verdicts = {review.decision_id: review.verdict for review in reviews(batches)}
    recount: defaultdict[tuple[object, ...], Counter[str]] = defaultdict(Counter)
    for one in {decision.decision_id: decision for decision in decisions(batches)}.values():
        acted = one.action not in (Action.ALLOW, Action.ESCALATE)
        violating = verdicts[one.decision_id] is Verdict.VIOLATING
        minute = one.occurred_at.replace(second=0, microsecond=0)
        cell = (minute, one.model, one.model_version, one.policy, one.language, one.region, one.surface, one.modality)
        recount[cell].update(
            decisions=1,
            acted=acted,
            escalated=one.action is Action.ESCALATE,
            violating=violating,
            true_positives=acted and violating,
            sampled=bool(one.sampled),
            score_sum=round(one.score * 1e4),
        )
    stated = {
        (r.minute, r.model, r.model_version, r.policy, r.language, r.region, r.surface, r.modality): Counter(
            decisions=r.decisions,
            acted=r.acted,
            escalated=r.escalated,
            violating=r.violating,
            true_positives=r.true_positives,
            sampled=r.sampled,
            score_sum=r.score_sum,
        )
        for batch in batches
        for r in batch.truth
    }
    assert dict(recount) == stated


def test_precision_and_action_rate_are_those_of_equal_variance_signal_detection() -> None:
    prevalence, separation, threshold = 0.15, 2.2, 0.7
    policy = Policy(name="p", prevalence=prevalence, threshold=threshold)
    sums = total(log(scenario(model(rate=40_000, policies=(policy,), separation=separation)), minutes=3))
    bound = (np.log(threshold / (1 - threshold)) - np.log(prevalence / (1 - prevalence))) / separation
    hits, false_alarms = (
        prevalence * norm.sf(bound - separation / 2),
        (1 - prevalence) * norm.sf(bound + separation / 2),
    )
    assert binomtest(sums["acted"], sums["decisions"], hits + false_alarms).pvalue > 1e-3
    assert binomtest(sums["true_positives"], sums["acted"], hits / (hits + false_alarms)).pvalue > 1e-3


@pytest.mark.parametrize("language", ["en", "es"])
def test_calibrated_scores_are_calibrated_in_every_language(language: str) -> None:
    calibrated = model(rate=12_000, audit=AUDIT_ALL, separation_by_language={"es": 1.2})
    batches = log(scenario(calibrated, queue=None, appeals=None, reports=None), minutes=3)
    violating = {review.decision_id for review in reviews(batches) if review.verdict is Verdict.VIOLATING}
    bins: defaultdict[int, list[tuple[float, bool]]] = defaultdict(list)
    for one in decisions(batches):
        if one.language == language:
            bins[min(int(one.score * 10), 9)].append((one.score, one.decision_id in violating))
    for pairs in bins.values():
        expected = sum(score for score, _ in pairs) / len(pairs)
        assert binomtest(sum(truth for _, truth in pairs), len(pairs), expected).pvalue > 1e-4


def test_an_overconfident_model_promises_more_than_it_keeps() -> None:
    calibrated = total(log(scenario(model(rate=20_000)), minutes=2))
    overconfident = model(rate=20_000, calibration=Calibration(intercept=1.0, slope=1.5))
    promised = total(log(scenario(overconfident), minutes=2))
    assert precision(promised) < precision(calibrated) - 0.03
    assert promised["score_sum"] / 1e4 > promised["violating"] * 1.02
    assert calibrated["score_sum"] / 1e4 == pytest.approx(calibrated["violating"], rel=0.03)


def test_volume_follows_the_day_and_the_week() -> None:
    rhythm = Rhythm(daily=0.5, peak_hour=18.0, weekend=0.7)
    thursday = 0  # 1970-01-01
    saturday = 2 * 1440
    assert volume(rhythm, thursday + 18 * 60) == pytest.approx(1.5)
    assert volume(rhythm, thursday + 6 * 60) == pytest.approx(0.5)
    assert volume(rhythm, saturday + 18 * 60) == pytest.approx(1.5 * 0.7)
    week = [volume(Rhythm(daily=0.5), minute) for minute in range(7 * 1440)]
    assert float(np.mean(week)) == pytest.approx(1.0)


def test_shares_are_kept() -> None:
    batches = log(scenario(model(rate=8_000)), minutes=2)
    whole = total(batches)["decisions"]
    for language, share in {"en": 0.5, "es": 0.3, "de": 0.2}.items():
        assert binomtest(total(batches, language=language)["decisions"], whole, share).pvalue > 1e-3
