"""The gate: rates of wrong and right verdicts by simulation, replay, reasons, and what is refused."""

import math
from typing import Any

import msgspec
import numpy as np
import pytest

from detectors.launch import (
    Design,
    Endpoint,
    Gate,
    GateState,
    Outcomes,
    Verdict,
    false_positives,
    precision,
    true_positives,
    two_sample_labels_needed,
    value,
)
from tests.studies.launch import Plan, gate, peeking, simulate

PRECISION = Endpoint("precision", precision(0.95, 0.95), 0.01)
TRUE = Endpoint("true positives", true_positives(), 0.01)
FALSE = Endpoint("false positives", false_positives(), 0.01)


def tally(*counts: int, both: int = 0) -> Outcomes:
    return Outcomes(np.array([counts]), np.array(both))


@pytest.mark.parametrize("champion", [0.95, 0.90])
@pytest.mark.parametrize("discordant", [0.02, 0.05, 0.10])
def test_a_regression_of_one_point_is_blocked_with_a_fifth_of_the_labels_at_most(
    champion: float, discordant: float
) -> None:
    plan = Plan(champion, discordant, -0.01)
    found = simulate(plan, runs=300, disagreements=2000, rng=np.random.default_rng(7))

    ended = gate(found, plan, design=Design())

    assert ended.blocked.mean() >= 0.9
    assert ended.passed.mean() <= 0.05
    assert 5 * np.quantile(ended.labels, 0.9) <= two_sample_labels_needed(champion, champion - 0.01)


def test_an_equal_model_is_seldom_blocked_however_often_one_looks_where_a_z_test_often_would() -> None:
    plan = Plan(0.95, 0.05, 0.0)
    found = simulate(plan, runs=500, disagreements=800, rng=np.random.default_rng(7))

    assert gate(found, plan, design=Design(), may_pass=False).blocked.mean() <= 0.05
    assert gate(found, plan, design=Design()).passed.mean() >= 0.9
    assert peeking(found, plan).mean() >= 0.2


@pytest.mark.parametrize("drift_to", [None, 0.2])
def test_a_model_at_the_margin_seldom_passes_whatever_the_weights_and_the_drift(drift_to: float | None) -> None:
    design = Design(inclusion_probability=(1.0, 0.2), guess=(0.75, 0.75))
    plan = Plan(0.95, 0.05, -0.01)
    rng = np.random.default_rng(8)
    found = simulate(plan, runs=400, disagreements=600, rng=rng, pi=(1.0, 0.2), drift_to=drift_to)

    assert gate(found, plan, design=design, may_block=False).passed.mean() <= 0.05


@pytest.mark.parametrize("difference", [-0.02, 0.01])
def test_the_gate_decides_when_the_study_does_and_a_replay_gives_the_same(difference: float) -> None:
    plan = Plan(0.95, 0.05, difference)
    found = simulate(plan, runs=3, disagreements=200, rng=np.random.default_rng(3))
    told = gate(found, plan, design=Design())
    spec = Gate(endpoints=(PRECISION,), minimum_labels=1)
    for run in range(3):
        states = [spec.start(), spec.start()]
        steps = np.diff(found.discordant[run], axis=0, prepend=0), np.diff(found.both[run], prepend=0)
        for discordant, both in zip(*steps, strict=True):
            saved = msgspec.msgpack.decode(msgspec.msgpack.encode(states[1]), type=GateState)
            states = [spec.step(state, Outcomes(discordant, np.asarray(both))) for state in (states[0], saved)]
            if states[0].verdict is not Verdict.KEEP_GOING:
                break
        assert states[0] == states[1]
        assert (told.labels[run], told.blocked[run], told.passed[run]) == (
            states[0].labels,
            states[0].verdict is Verdict.BLOCK,
            states[0].verdict is Verdict.PASS,
        )


@pytest.mark.parametrize(
    ("new", "verdict", "reason"),
    [
        (tally(0, 5, 0, 5, 0, 0), Verdict.KEEP_GOING, "10 labels, at least 30 are needed"),
        (tally(10, 10, 0, 10, 10, 0), Verdict.KEEP_GOING, "no evidence is strong enough yet"),
        (tally(0, 40, 0, 0, 0, 0), Verdict.BLOCK, "worse: false positives"),
        (tally(0, 0, 0, 40, 0, 0), Verdict.BLOCK, "worse: true positives"),
        (
            tally(40, 0, 0, 0, 40, 0, both=2000),
            Verdict.PASS,
            "not worse than the margin: true positives, false positives",
        ),
        (tally(50, 50, 0, 50, 50, 0), Verdict.UNDECIDED, "200 labels used, allowed were 200"),
        (tally(10, 10, 0, 10, 10, 0, both=5), Verdict.UNDECIDED, "closed at 9"),
    ],
)
def test_each_verdict_says_why(new: Outcomes, verdict: Verdict, reason: str) -> None:
    spec = Gate(endpoints=(TRUE, FALSE), maximum_labels=200, closes_at=9.0)

    state = spec.step(spec.start(), new, at=9.0 if reason.startswith("closed") else 1.0)

    assert (verdict, reason) == (state.verdict, state.reason)


def test_a_final_verdict_stays_whatever_follows() -> None:
    spec = Gate(endpoints=(TRUE,))
    blocked = spec.step(spec.start(), tally(0, 0, 0, 40, 0, 0))

    assert blocked == spec.step(blocked, tally(4000, 0, 0, 0, 0, 0))


def test_a_traffic_limit_ends_undecided() -> None:
    spec = Gate(endpoints=(TRUE,), maximum_decisions=100)

    assert "104 decisions seen, allowed were 100" == spec.step(spec.start(), tally(1, 1, 0, 1, 1, 0, both=100)).reason


def test_passing_needs_every_endpoint() -> None:
    good_for_one = tally(0, 0, 0, 0, 40, 0, both=300)

    alone, together = (Gate(endpoints=ends) for ends in ((FALSE,), (TRUE, FALSE)))

    assert Verdict.PASS is alone.step(alone.start(), good_for_one).verdict
    assert Verdict.KEEP_GOING is together.step(together.start(), good_for_one).verdict


def test_a_grossly_worse_segment_blocks_although_the_whole_is_better() -> None:
    spec = Gate(endpoints=(TRUE,), segments=("en", "de"), minimum_labels=70)
    better = spec.step(spec.start(), tally(60, 0, 0, 0, 0, 0), segment="en")

    state = spec.step(better, tally(0, 0, 0, 40, 0, 0, both=10), segment="de")

    assert (Verdict.BLOCK, "grossly worse: true positives of de") == (state.verdict, state.reason)


def test_the_interval_agrees_with_the_verdict() -> None:
    spec = Gate(endpoints=(TRUE,), alpha_interval=0.1)

    state = spec.step(spec.start(), tally(10, 10, 0, 60, 10, 0, both=1000))
    limits = spec.interval(state, "true positives")

    assert -0.1 < limits.lower < limits.upper < 0
    assert Verdict.BLOCK is state.verdict
    with pytest.raises(ValueError, match="endpoint: got 'other'"):
        spec.interval(state, "other")


@pytest.mark.parametrize(
    "arguments",
    [
        {"endpoints": ()},
        {"endpoints": (TRUE, TRUE)},
        {"endpoints": (Endpoint("x", true_positives(), 0.0),)},
        {"gross_margin": 0.2},
        {"segments": ()},
        {"segments": ("a", "a")},
        {"alpha_pass": 1.0},
        {"minimum_labels": 11, "maximum_labels": 10},
        {"maximum_decisions": 0},
        {"closes_at": math.nan},
    ],
)
def test_a_gate_that_means_nothing_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"gate|margin|alpha|labels|decisions|closes_at"):
        Gate(**({"endpoints": (TRUE,)} | arguments))


def test_steps_that_do_not_belong_are_refused() -> None:
    spec, timed = Gate(endpoints=(TRUE,), segments=("a", "b")), Gate(endpoints=(TRUE,), closes_at=1.0)
    with pytest.raises(ValueError, match="another gate"):
        spec.step(timed.start(), tally(0, 0, 0, 0, 0, 0))
    for segment in (None, "c"):
        with pytest.raises(ValueError, match="segment"):
            spec.step(spec.start(), tally(0, 0, 0, 0, 0, 0), segment=segment)
    with pytest.raises(ValueError, match="at: got None"):
        timed.step(timed.start(), tally(0, 0, 0, 0, 0, 0))
    with pytest.raises(ValueError, match="one series"):
        timed.step(timed.start(), Outcomes(np.zeros((2, 1, 6)), np.zeros(2)), at=0.0)


def test_a_gate_comes_back_from_its_own_encoding() -> None:
    spec = Gate(endpoints=(PRECISION, TRUE, FALSE), design=Design(inclusion_probability=(1.0, 0.25)))

    again = msgspec.json.decode(msgspec.json.encode(spec), type=Gate)

    assert (spec, spec.fingerprint()) == (again, again.fingerprint())


def test_numbers_of_any_kind_make_the_same_gate() -> None:
    whole = Gate(endpoints=(Endpoint("value", value(1, -3), 0.01),), closes_at=1000, minimum_labels=np.int64(30))  # type: ignore[arg-type]
    real = Gate(endpoints=(Endpoint("value", value(np.float64(1.0), -3.0), np.float64(0.01)),), closes_at=1000.0)

    again = msgspec.json.decode(msgspec.json.encode(whole), type=Gate)

    assert whole == real == again
    assert whole.fingerprint() == real.fingerprint() == again.fingerprint()
    assert 0 == again.step(whole.start(), tally(0, 0, 0, 0, 0, 0), at=0.0).labels
