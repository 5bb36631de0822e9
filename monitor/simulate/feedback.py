"""What people say later about the decisions of one minute: audits, queue reviews, appeals, reports.

All of it is drawn with the decisions' minute, however late it happens; `generate` holds it back until it is due.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from monitor.simulate.rows import SCORE_UNITS, Bools, Ints
from monitor.simulate.scenario import Appeals, Queue, Reports, Reviewers, Scenario
from monitor.simulate.traffic import Traffic

REPORTERS = 100_000


class Kind(Enum):
    """What the feedback is; fixes topic, id prefix and the meaning of `Feedback.code`."""

    AUDIT = "audit"
    QUEUE = "queue"
    APPEAL = "appeal"
    REPORT = "report"


VERDICTS = ("violating", "benign", "unsure")
STAGES = ("filed", "upheld", "overturned", "withdrawn")


@dataclass(frozen=True, slots=True)
class Feedback:
    """Events of one kind. Columns have shape (events,)."""

    kind: Kind
    row: Ints
    """Row of the decision in its traffic."""
    at_ms: Ints
    """Milliseconds since the epoch."""
    code: Ints
    """Index into VERDICTS or STAGES; 0 for reports."""
    person: Ints
    """Number of the reviewer or reporter; 0 for appeals."""
    blind: Bools
    context: Bools
    """Whether it carries its decision's context."""


def follow_up(scenario: Scenario, traffic: Traffic, rng: np.random.Generator) -> list[Feedback]:
    """All feedback on one minute's decisions of one model."""
    shadow = np.array([release.variant == "shadow" for release in traffic.rows.names.release])[traffic.rows.release]
    result = [_audits(scenario.reviewers, scenario.context_share, traffic, rng)]
    if scenario.queue is not None:
        result.append(_queue(scenario.queue, scenario.reviewers, scenario.context_share, traffic, ~shadow, rng))
    if scenario.appeals is not None:
        result.append(_appeals(scenario.appeals, scenario.context_share, traffic, ~shadow, rng))
    if scenario.reports is not None:
        result.append(_reports(scenario.reports, scenario.context_share, traffic, ~shadow, rng))
    return [feedback for feedback in result if len(feedback.row)]


def _verdicts(reviewers: Reviewers, violating: Bools, rng: np.random.Generator) -> Ints:
    right = rng.random(len(violating)) < np.where(violating, reviewers.sensitivity, reviewers.specificity)
    verdict = np.where(violating == right, 0, 1)
    return np.where(rng.random(len(violating)) < reviewers.unsure, 2, verdict).astype(np.int64)


def _audits(reviewers: Reviewers, context: float, traffic: Traffic, rng: np.random.Generator) -> Feedback:
    row = np.flatnonzero(traffic.sampled)
    size = len(row)
    return Feedback(
        kind=Kind.AUDIT,
        row=row,
        at_ms=traffic.start_ms + traffic.rows.offset_ms[row] + reviewers.delay.milliseconds(rng, size=size),
        code=_verdicts(reviewers, traffic.rows.violating[row], rng),
        person=rng.integers(0, reviewers.people, size),
        blind=rng.random(size) < reviewers.blind,
        context=rng.random(size) < context,
    )


def _queue(
    queue: Queue, reviewers: Reviewers, context: float, traffic: Traffic, eligible: Bools, rng: np.random.Generator
) -> Feedback:
    chance = queue.share * (traffic.rows.score / SCORE_UNITS) ** queue.steepness
    row = np.flatnonzero(eligible & ((rng.random(len(traffic.rows)) < chance) | traffic.escalated))
    size = len(row)
    return Feedback(
        kind=Kind.QUEUE,
        row=row,
        at_ms=traffic.start_ms + traffic.rows.offset_ms[row] + queue.delay.milliseconds(rng, size=size),
        code=_verdicts(reviewers, traffic.rows.violating[row], rng),
        person=rng.integers(0, reviewers.people, size),
        blind=np.zeros(size, dtype=np.bool_),
        context=rng.random(size) < context,
    )


def _appeals(appeals: Appeals, context: float, traffic: Traffic, eligible: Bools, rng: np.random.Generator) -> Feedback:
    right = traffic.rows.violating
    chance = np.where(right, appeals.filed_if_right, appeals.filed_if_wrong)
    row = np.flatnonzero(eligible & traffic.acted & (rng.random(len(traffic.rows)) < chance))
    size = len(row)
    filed = traffic.start_ms + traffic.rows.offset_ms[row] + appeals.filing_delay.milliseconds(rng, size=size)
    overturned = rng.random(size) < np.where(right[row], appeals.overturned_if_right, appeals.overturned_if_wrong)
    stage = np.where(rng.random(size) < appeals.withdrawn, 3, np.where(overturned, 2, 1)).astype(np.int64)
    upheld_delay = appeals.upheld_delay.milliseconds(rng, size=size)
    overturned_delay = appeals.overturned_delay.milliseconds(rng, size=size)
    closed = filed + np.where(stage == 2, overturned_delay, upheld_delay)
    nobody = np.zeros(2 * size, dtype=np.int64)
    return Feedback(
        kind=Kind.APPEAL,
        row=np.concatenate([row, row]),
        at_ms=np.concatenate([filed, closed]),
        code=np.concatenate([np.zeros(size, dtype=np.int64), stage]),
        person=nobody,
        blind=nobody.astype(np.bool_),
        context=np.tile(rng.random(size) < context, 2),
    )


def _reports(reports: Reports, context: float, traffic: Traffic, eligible: Bools, rng: np.random.Generator) -> Feedback:
    violating = traffic.rows.violating
    chance = np.where(violating, reports.if_violating, reports.if_benign)
    row = np.flatnonzero(eligible & ~traffic.acted & (rng.random(len(traffic.rows)) < chance))
    size = len(row)
    fast = reports.violating_delay.milliseconds(rng, size=size)
    slow = reports.benign_delay.milliseconds(rng, size=size)
    return Feedback(
        kind=Kind.REPORT,
        row=row,
        at_ms=traffic.start_ms + traffic.rows.offset_ms[row] + np.where(violating[row], fast, slow),
        code=np.zeros(size, dtype=np.int64),
        person=rng.integers(0, REPORTERS, size),
        blind=np.zeros(size, dtype=np.bool_),
        context=rng.random(size) < context,
    )
