"""Appeals, reports and reviews happen as often and as late as designed."""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest
from scipy.stats import binomtest, expon, kstest, lognorm

from monitor.events import Action, AppealStage, Decision, ReviewSource, Verdict
from monitor.simulate.delays import Delay, Exponential, Lognormal
from monitor.simulate.designs import Uniform
from monitor.simulate.scenario import Appeals, Reports, Reviewers
from tests.simulate.helpers import appeals, decisions, log, model, reports, reviews, scenario, total

APPEALS = Appeals(
    filed_if_wrong=0.4, filed_if_right=0.1, overturned_if_wrong=0.8, overturned_if_right=0.1, withdrawn=0.2
)
REPORTS = Reports(if_violating=0.3, if_benign=0.02)
BUSY = scenario(
    model(rate=6000, audit=Uniform(design_id="census", probability=1.0)), appeals=APPEALS, reports=REPORTS, queue=None
)


@pytest.fixture(scope="module")
def truth() -> dict[str, bool]:
    """Whether a decision's item violates, by decision id."""
    return {one.decision_id: one.verdict is Verdict.VIOLATING for one in reviews(log(BUSY))}


@pytest.fixture(scope="module")
def known() -> dict[str, Decision]:
    """Decisions by id."""
    return {one.decision_id: one for one in decisions(log(BUSY))}


def test_appeals_are_filed_as_often_as_designed_and_only_on_what_was_acted_on(
    known: dict[str, Decision], truth: dict[str, bool]
) -> None:
    filed = [one for one in appeals(log(BUSY)) if one.stage is AppealStage.FILED]
    assert not {Action.ALLOW, Action.ESCALATE} & {known[one.decision_id].action for one in filed}
    sums = total(log(BUSY))
    right = sum(truth[one.decision_id] for one in filed)
    assert binomtest(right, sums["true_positives"], APPEALS.filed_if_right).pvalue > 1e-3
    wrong = sums["acted"] - sums["true_positives"]
    assert binomtest(len(filed) - right, wrong, APPEALS.filed_if_wrong).pvalue > 1e-3


def test_every_appeal_has_two_steps_and_the_overturned_share_is_as_designed(truth: dict[str, bool]) -> None:
    steps: dict[str, list[AppealStage]] = {}
    for one in sorted(appeals(log(BUSY)), key=lambda step: step.at):
        steps.setdefault(one.appeal_id, []).append(one.stage)
    assert all(len(stages) == 2 and stages[0] is AppealStage.FILED for stages in steps.values())
    closed = [one for one in appeals(log(BUSY)) if one.stage is not AppealStage.FILED]
    withdrawn = sum(one.stage is AppealStage.WITHDRAWN for one in closed)
    assert binomtest(withdrawn, len(closed), APPEALS.withdrawn).pvalue > 1e-3
    for violating, share in ((True, APPEALS.overturned_if_right), (False, APPEALS.overturned_if_wrong)):
        stages = [
            one.stage
            for one in closed
            if truth[one.decision_id] == violating and one.stage is not AppealStage.WITHDRAWN
        ]
        assert binomtest(stages.count(AppealStage.OVERTURNED), len(stages), share).pvalue > 1e-3


def test_overturned_appeals_arrive_later_than_upheld_ones() -> None:
    filed = {one.appeal_id: one.at for one in appeals(log(BUSY)) if one.stage is AppealStage.FILED}

    def minutes(stage: AppealStage) -> list[float]:
        steps = [one for one in appeals(log(BUSY)) if one.stage is stage]
        return [(one.at - filed[one.appeal_id]).total_seconds() / 60 for one in steps]

    assert isinstance(APPEALS.upheld_delay, Lognormal)
    assert isinstance(APPEALS.overturned_delay, Lognormal)
    upheld, overturned = minutes(AppealStage.UPHELD), minutes(AppealStage.OVERTURNED)
    assert median(overturned) > 2 * median(upheld)
    assert kstest(overturned, lognorm(s=0.7, scale=APPEALS.overturned_delay.median_minutes).cdf).pvalue > 1e-3
    assert kstest(upheld, lognorm(s=0.7, scale=APPEALS.upheld_delay.median_minutes).cdf).pvalue > 1e-3


def test_reports_come_for_what_stayed_up_and_sooner_if_it_violates(
    known: dict[str, Decision], truth: dict[str, bool]
) -> None:
    told = reports(log(BUSY))
    assert {Action.ALLOW, Action.ESCALATE} >= {known[one.decision_id].action for one in told}
    delays: dict[bool, list[float]] = {True: [], False: []}
    for one in told:
        since = one.at - known[one.decision_id].occurred_at
        delays[truth[one.decision_id]].append(since.total_seconds() / 60)
    sums = total(log(BUSY))
    missed = sums["violating"] - sums["true_positives"]
    assert binomtest(len(delays[True]), missed, REPORTS.if_violating).pvalue > 1e-3
    assert kstest(delays[True], expon(scale=5.0).cdf).pvalue > 1e-3
    assert kstest(delays[False], expon(scale=20.0).cdf).pvalue > 1e-3


def test_feedback_carries_the_context_of_its_decision_as_often_as_wanted() -> None:
    batches = log(scenario(model(rate=4000, audit=Uniform(design_id="u", probability=0.3)), context_share=0.4))
    known = {one.decision_id: one for one in decisions(batches)}
    told = [*reviews(batches), *appeals(batches), *reports(batches)]
    carried = [one for one in told if one.decision is not None]
    assert binomtest(len(carried), len(told), 0.4).pvalue > 1e-4
    for one in carried:
        assert one.decision is not None
        for name in one.decision.__struct_fields__:
            assert getattr(known[one.decision_id], name) == getattr(one.decision, name)


def test_record_timestamps_are_the_events_own_times_and_keys_the_decision_ids() -> None:
    for batch in log(BUSY):
        times = {
            "decisions": [(one.occurred_at, one.decision_id) for one in decisions([batch])],
            "reviews": [(one.reviewed_at, one.decision_id) for one in reviews([batch])],
            "appeals": [(one.at, one.decision_id) for one in appeals([batch])],
            "reports": [(one.at, one.decision_id) for one in reports([batch])],
        }
        for topic, expected in times.items():
            records = batch.records[f"moderation.{topic}"]
            assert [round(at.timestamp() * 1000) for at, _ in expected] == records.timestamps.tolist()
            assert [key.encode() for _, key in expected] == records.keys


def test_feedback_never_comes_before_its_decision(known: dict[str, Decision]) -> None:
    for one in reviews(log(BUSY)):
        assert one.reviewed_at > known[one.decision_id].occurred_at


def test_reviewers_err_as_often_as_designed() -> None:
    census = Uniform(design_id="census", probability=1.0)
    flawless = scenario(model(rate=6000, audit=census), queue=None)
    flawed = scenario(
        model(rate=6000, audit=census),
        queue=None,
        reviewers=Reviewers(sensitivity=0.9, specificity=0.97, unsure=0.05, blind=0.5),
    )
    truth = {one.decision_id: one.verdict for one in reviews(log(flawless))}
    said = reviews(log(flawed))
    unsure = sum(one.verdict is Verdict.UNSURE for one in said)
    assert binomtest(unsure, len(said), 0.05).pvalue > 1e-3
    assert binomtest(sum(bool(one.blind) for one in said), len(said), 0.5).pvalue > 1e-3
    for verdict, rate in ((Verdict.VIOLATING, 0.9), (Verdict.BENIGN, 0.97)):
        sure = [one for one in said if truth[one.decision_id] is verdict and one.verdict is not Verdict.UNSURE]
        assert binomtest(sum(one.verdict is verdict for one in sure), len(sure), rate).pvalue > 1e-3


def test_escalated_decisions_go_to_the_queue() -> None:
    batches = log(scenario(model(rate=1000)))
    escalated = {one.decision_id for one in decisions(batches) if one.action is Action.ESCALATE}
    assert escalated
    assert escalated <= {one.decision_id for one in reviews(batches) if one.source is ReviewSource.QUEUE}


@pytest.mark.parametrize("delay", [Exponential(mean_minutes=3.0), Lognormal(median_minutes=2.0, sigma=0.5)], ids=str)
def test_delays_follow_their_law(delay: Delay) -> None:
    drawn = delay.milliseconds(np.random.default_rng(5), size=4000) / 60_000
    law = expon(scale=3.0) if isinstance(delay, Exponential) else lognorm(s=0.5, scale=2.0)
    assert kstest(drawn, law.cdf).pvalue > 1e-3
    assert drawn.min() > 0
