"""LORD++, SAFFRON and e-LOND against the outputs of R's onlineFDR, and simulated sequences with known truth."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import ndtr

from detectors.multiplicity import ELond, LordPlusPlus, OnlineTests, Saffron
from tests.detectors.multiplicity.families import overlapping_segments

# The reference manual of onlineFDR: LORD and SAFFRON, `random=FALSE`; the levels as printed.
P = (
    *(2.90e-08, 0.06743, 0.01514, 0.08174, 0.00171, 3.60e-05, 0.79149, 0.27201),
    *(0.28295, 7.59e-08, 0.69274, 0.30443, 0.00136, 0.72342, 0.54757),
)
LORD_LEVELS = (
    *(0.0002675839, 0.0024664457, 0.0005732818, 0.0004872805, 0.0004059066, 0.0003447286, 0.0029745013, 0.0008450114),
    *(0.0007305648, 0.0006243143, 0.0032185913, 0.0010617227, 0.0009256825, 0.0008019657, 0.0007059610),
)
SAFFRON_LEVELS = (
    *(0.005468627, 0.010937254, 0.010937254, 0.010937254, 0.010937254, 0.021874508, 0.032811762, 0.010823845),
    *(0.010823845, 0.010823845, 0.021761099, 0.009265591, 0.009265591, 0.020202846, 0.009064367),
)
# The same in the order of `set.seed(1)`.
SHUFFLED = (
    *(2.90e-08, 0.06743, 0.01514, 0.08174, 0.00171, 0.27201, 3.60e-05, 0.79149),
    *(7.59e-08, 0.28295, 0.69274, 0.72342, 0.30443, 0.54757, 0.00136),
)
SHUFFLED_LORD_LEVELS = (
    *(0.0002675839, 0.0024664457, 0.0005732818, 0.0004872805, 0.0004059066, 0.0003447286, 0.0002986627, 0.0029389397),
    *(0.0008168502, 0.0033835974, 0.0011873999, 0.0010225858, 0.0008785607, 0.0007679398, 0.0006820264),
)
SHUFFLED_SAFFRON_LEVELS = (  # alpha .1, w0 .025
    *(0.005468627, 0.021874508, 0.021874508, 0.043749017, 0.043749017, 0.065623525, 0.065623525, 0.087498033),
    *(0.028863587, 0.050738095, 0.050738095, 0.022302945, 0.013293195, 0.013293195, 0.009042997),
)

VALUES = st.lists(st.one_of(st.floats(0, 1), st.floats(0, 1e-3), st.just(float("nan"))), max_size=40)


def rejections(tests: OnlineTests) -> set[int]:
    return set((np.flatnonzero(tests.rejected) + 1).tolist())


def test_lord_gives_the_published_levels_and_rejections() -> None:
    tests, _ = LordPlusPlus(alpha=0.05).decide(P)

    assert LORD_LEVELS == pytest.approx(tests.threshold, abs=5e-11)
    assert {1, 6, 10} == rejections(tests)


def test_lord_gives_the_published_levels_of_the_other_order() -> None:
    tests, _ = LordPlusPlus(alpha=0.05).decide(SHUFFLED)

    assert SHUFFLED_LORD_LEVELS == pytest.approx(tests.threshold, abs=5e-11)


def test_saffron_gives_the_published_levels_and_rejections() -> None:
    tests, _ = Saffron(alpha=0.05).decide(P)

    assert SAFFRON_LEVELS == pytest.approx(tests.threshold, abs=5e-10)
    assert {1, 5, 6, 10, 13} == rejections(tests)


def test_saffron_gives_the_published_levels_for_another_alpha_and_wealth() -> None:
    tests, _ = Saffron(alpha=0.1, initial_wealth=0.025).decide(SHUFFLED)

    assert SHUFFLED_SAFFRON_LEVELS == pytest.approx(tests.threshold, abs=5e-10)
    assert {1, 3, 5, 7, 9, 15} == rejections(tests)


def test_e_lond_gives_the_thresholds_of_its_formula() -> None:
    tests, state = ELond(alpha=0.05).decide([50.0, 10.0, 200.0, 5.0, 1000.0])

    assert [32.899, 65.797, 148.044, 175.460, 274.156] == tests.threshold.round(3).tolist()
    assert {1, 3, 5} == rejections(tests)
    assert (5, 3) == (state.tested, state.discovered)


@given(VALUES, st.integers(0, 40))
def test_hypotheses_in_two_calls_are_decided_as_in_one(values: list[float], cut: int) -> None:
    p = np.array(values)
    two_calls(LordPlusPlus(), p, cut)
    two_calls(Saffron(), p, cut)
    two_calls(ELond(), 1 / np.maximum(p, 1e-9), cut)


def two_calls(spec: Any, evidence: NDArray[np.float64], cut: int) -> None:
    whole, end = spec.decide(evidence)
    first, state = spec.decide(evidence[:cut])
    second, continued = spec.decide(evidence[cut:], state)

    assert end == continued
    assert np.array_equal(whole.rejected, np.concatenate([first.rejected, second.rejected]))
    np.testing.assert_allclose(whole.threshold, np.concatenate([first.threshold, second.threshold]), rtol=1e-12)


@pytest.mark.parametrize("spec", [LordPlusPlus(), Saffron()])
def test_hypotheses_of_many_blocks_are_decided_as_one_by_one(spec: Any) -> None:
    p = np.random.default_rng(1).random(1300) ** 2
    whole, end = spec.decide(p)

    rejected, state = [], None
    for value in p:
        tests, state = spec.decide([value], state)
        rejected.append(bool(tests.rejected[0]))

    assert rejected == whole.rejected.tolist()
    assert end == state


def test_a_hypothesis_without_evidence_is_passed_over() -> None:
    nan = float("nan")
    for spec in (LordPlusPlus(), Saffron()):
        known, end = spec.decide([1e-7, 0.3, 0.002])
        found, same = spec.decide([1e-7, nan, 0.3, nan, 0.002])

        assert end == same
        assert known.threshold.tolist() == found.threshold[[0, 2, 4]].tolist()
        assert [True, True] == np.isnan(found.threshold[[1, 3]]).tolist()
        assert not found.rejected[[1, 3]].any()


@pytest.mark.parametrize("spec", [LordPlusPlus(), Saffron()])
def test_states_stay_bounded_and_forgotten_discoveries_only_lower_levels(spec: Any) -> None:
    _, state = spec.decide(np.full(1500, 1e-12))
    after, _ = spec.decide([0.5], state)
    _, shorter = spec.decide(np.full(900, 1e-12))
    before, _ = spec.decide([0.5], shorter)

    assert (1000, 1500) == (len(state.latest), state.discovered)
    assert after.threshold[0] == pytest.approx(before.threshold[0], rel=0.05)


@pytest.mark.parametrize("spec", [LordPlusPlus(), Saffron()])
def test_online_rules_keep_their_rate_for_independent_p_values(spec: LordPlusPlus | Saffron) -> None:
    rng = np.random.default_rng(7)
    false_share, found = [], 0
    for _ in range(150):
        null = rng.random(200) < 0.8
        p = ndtr(-(rng.standard_normal(200) + np.where(null, 0.0, 3.5)))
        rejected = spec.decide(p)[0].rejected
        found += int((rejected & ~null).sum())
        false_share.append((rejected & null).sum() / max(rejected.sum(), 1))

    assert np.mean(false_share) <= 0.05
    assert found > 0.2 * 150 * 200 * 0.2


def test_saffron_finds_more_than_lord_where_many_hypotheses_are_false() -> None:
    rng = np.random.default_rng(8)
    p = ndtr(-(rng.standard_normal(1000) + np.where(rng.random(1000) < 0.5, 0.0, 3.0)))

    assert Saffron().decide(p)[0].rejected.sum() > 1.2 * LordPlusPlus().decide(p)[0].rejected.sum()


def test_e_lond_keeps_its_rate_among_overlapping_segments() -> None:
    z, null = overlapping_segments(np.random.default_rng(9), runs=150, policies_changed=2, shift=4.0)
    e = np.exp(3.0 * z - 4.5)

    decided = [ELond().decide(family)[0].rejected for family in e]

    assert 0.05 >= np.mean([(r & null).sum() / max(r.sum(), 1) for r in decided])
    assert 1 < np.mean([(r & ~null).sum() for r in decided])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LordPlusPlus(alpha=1.0), "LordPlusPlus.alpha"),
        (lambda: LordPlusPlus(alpha=0.05, initial_wealth=0.06), "LordPlusPlus.initial_wealth"),
        (lambda: Saffron(candidate=0.0), "Saffron.candidate"),
        (lambda: Saffron(initial_wealth=-0.1), "Saffron.initial_wealth"),
        (lambda: ELond(alpha=0.0), "ELond.alpha"),
    ],
)
def test_parameters_outside_their_bounds_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("bad", [-0.1, 1.5, np.inf])
def test_numbers_that_are_no_p_values_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"p_values: found .* at position 0"):
        LordPlusPlus().decide([bad])


def test_hypotheses_have_one_order() -> None:
    with pytest.raises(ValueError, match=r"got an array of shape \(1, 2\), allowed is \(n,\)"):
        ELond().decide([[1.0, 2.0]])


@pytest.mark.parametrize("procedure", [LordPlusPlus(alpha=0.05), Saffron(alpha=0.05)])
@pytest.mark.parametrize("seed", range(10))
def test_levels_are_the_same_bits_one_by_one_as_together(procedure: Any, seed: int) -> None:
    values = np.random.default_rng(seed).random(300) ** 4
    together, _ = procedure.decide(values)

    state, single = None, []
    for value in values:
        tests, state = procedure.decide([value], state)
        single += tests.threshold.tolist()

    assert together.threshold.tolist() == single
