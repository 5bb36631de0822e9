"""The nowcast of a share by simulation with known truth, in its exact cases, and where nothing identifies it."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.arrays import Bools, Floats
from detectors.delay import Unidentified, nowcast, same_age
from detectors.intervals import wilson
from tests.studies import delay as study


def small(**changes: object) -> dict[str, object]:
    """Two mature cohorts and a window that has seen the first of two bins."""
    usual: dict[str, object] = {
        "violating": [[60, 20], [64, 16], [40, 0]],
        "benign": [[5, 15], [6, 14], [4, 0]],
        "selected": [100, 100, 80],
        "age": [2, 2, 1],
        "window": [False, False, True],
    }
    return usual | changes


@pytest.mark.parametrize(
    ("n", "precision", "maturity", "seed"), [(200, 0.5, 0.3, 1), (1000, 0.8, 0.6, 2), (1000, 0.95, 0.3, 3)]
)
def test_limits_cover_the_truth_where_delay_follows_the_verdict_and_precision_has_moved(
    n: int, precision: float, maturity: float, seed: int
) -> None:
    windows = study.simulate(
        n,
        precision,
        study.age_of(precision, maturity),
        runs=1500,
        rng=np.random.default_rng(seed),
        reference=0.5 + 0.5 * precision,
    )

    found = study.nowcast_of(windows)

    naive, limits = study.of_cohort(windows, -1)
    assert 0.93 <= np.mean((found.lower <= precision) & (precision <= found.upper)) <= 0.97
    assert abs(found.estimate.mean() - precision) < 0.01 < 0.02 < naive.mean() - precision
    assert np.mean((limits.lower <= precision) & (precision <= limits.upper)) < 0.8
    assert study.pooled(windows).mean() - precision > 0.02
    assert found.estimate.var() == pytest.approx(found.variance.mean(), rel=0.2)


def test_a_backlog_that_slows_both_verdicts_alike_leaves_the_estimate_and_shows_as_incomplete() -> None:
    usual, slow = (
        study.simulate(1000, 0.8, 10, runs=1000, rng=np.random.default_rng(1), reference=0.9, backlog=backlog)
        for backlog in ((1.0, 1.0), (0.6, 0.6))
    )

    before, after = study.nowcast_of(usual), study.nowcast_of(slow)

    assert 1.0 == pytest.approx(before.completeness.mean(), abs=0.02)
    assert 0.6 == pytest.approx(after.completeness.mean(), abs=0.02)
    assert 0.8 == pytest.approx(after.estimate.mean(), abs=0.005)
    assert 0.93 <= np.mean((after.lower <= 0.8) & (after.upper >= 0.8)) <= 0.97


def test_a_window_of_cohorts_of_many_ages_is_covered_and_so_is_one_that_is_part_of_its_own_reference() -> None:
    rng = np.random.default_rng(8)
    runs, bins = 2000, 6
    ages = np.array([6, 6, 6, 6, 5, 4, 3, 2, 1, 0])
    window = np.arange(10) >= 5
    truth = np.where(window, 0.7, 0.85)
    by_delay = {True: np.array([0.4, 0.3, 0.1, 0.1, 0.05, 0.05]), False: np.array([0.1, 0.1, 0.2, 0.2, 0.2, 0.2])}
    full = {
        verdict: np.stack([rng.poisson(150 * part * chance, (runs, bins)) for part in share], axis=1)
        for (verdict, chance), share in zip(by_delay.items(), (truth, 1 - truth), strict=True)
    }
    seen = {verdict: labels * (np.arange(bins) < ages[:, None]) for verdict, labels in full.items()}
    selected = full[True].sum(axis=-1) + full[False].sum(axis=-1)

    found = nowcast(seen[True], seen[False], selected=selected, age=ages, window=window)

    assert 0.7 == pytest.approx(found.estimate.mean(), abs=0.004)
    assert 0.93 <= np.mean((found.lower <= 0.7) & (found.upper >= 0.7)) <= 0.97
    assert found.estimate.var() == pytest.approx(found.variance.mean(), rel=0.12)
    assert 1.0 == pytest.approx(found.completeness.mean(), abs=0.01)
    assert np.all((found.lower_bound <= 0.7) & (found.upper_bound >= 0.7))


def test_a_window_whose_labels_have_all_come_gets_the_plain_share_and_wilsons_interval() -> None:
    found = nowcast(**small(window=[True, False, False]))  # type: ignore[arg-type]

    expected = wilson(80, 100)
    assert [0.8, 1.0, 1.0] == [float(found.estimate), float(found.matured), float(found.completeness)]
    assert float(expected.lower) == pytest.approx(float(found.lower)) == pytest.approx(float(found.lower_bound))
    assert float(expected.upper) == pytest.approx(float(found.upper)) == pytest.approx(float(found.upper_bound))


def test_a_window_that_waits_for_nothing_needs_no_labels_to_know_delays_from() -> None:
    found = nowcast([[30, 10]], [[0, 0]], selected=[40], age=[2], window=[True])

    assert Unidentified.IDENTIFIED == found.reason
    assert float(wilson(40, 40).lower) == pytest.approx(float(found.lower))


def test_labels_are_weighted_by_the_inverse_of_their_verdicts_arrival() -> None:
    found = nowcast(**small())  # type: ignore[arg-type]

    violating, benign = 40 / (124 / 160), 4 / (11 / 40)
    assert violating / (violating + benign) == pytest.approx(float(found.estimate))
    assert 4 * (40 / 11) ** 2 == pytest.approx(float(found.square_benign))
    assert 44 / 80 == found.matured
    assert (violating + benign) / 80 == pytest.approx(float(found.completeness))


def test_a_cohort_of_which_nothing_was_selected_waits_for_no_label() -> None:
    # No benign label has ever come in the first bin, in which the last cohort still is.
    found = nowcast(
        [[60, 20], [64, 16], [70, 18], [0, 0]],
        [[0, 20], [0, 20], [0, 12], [0, 0]],
        selected=[100, 100, 100, 0],
        age=[2, 2, 2, 1],
        window=[False, False, True, True],
    )

    expected = wilson(88, 100)
    assert Unidentified.IDENTIFIED == found.reason
    assert [0.88, 12.0] == pytest.approx([float(found.estimate), float(found.weight_benign)])
    assert [float(expected.lower), float(expected.upper)] == pytest.approx([float(found.lower), float(found.upper)])


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[dict[str, Floats], Bools]:
    """Cohorts as `nowcast` and `same_age` take them, and which are empty: any but the first two, which are mature."""
    size, bins = draw(st.integers(3, 6)), draw(st.integers(2, 3))
    ages = np.array([bins, bins, *draw(st.lists(st.integers(0, bins), min_size=size - 2, max_size=size - 2))])
    empty = np.array([False, False, *draw(st.lists(st.booleans(), min_size=size - 2, max_size=size - 2))])
    # The first bin in which labels of a verdict come.
    first = np.array(draw(st.tuples(st.integers(0, 1), st.integers(0, 1))))[:, None, None]
    place, rng = np.arange(bins), np.random.default_rng(draw(st.integers(0, 2**32)))
    come = (place < ages[:, None]) & (place >= first) & ~empty[:, None]
    violating, benign = rng.poisson(3.0, (2, size, bins)) * come
    window = draw(st.lists(st.sampled_from(["window", "reference", ""]), min_size=size, max_size=size))
    arrays = {
        "violating": violating,
        "benign": benign,
        "selected": violating.sum(axis=1) + benign.sum(axis=1) + rng.integers(0, 2) * ~empty,
        "age": ages,
        "window": np.array(window) == "window",
        "reference": np.array(window) == "reference",
    }
    return arrays, empty


@settings(max_examples=100)
@given(drawn=cohorts())
def test_empty_cohorts_change_nothing_wherever_they_are(drawn: tuple[dict[str, Floats], Bools]) -> None:
    arrays, empty = drawn

    def both(columns: dict[str, Floats]) -> dict[str, Floats]:
        usual = {name: values for name, values in columns.items() if name != "reference"}
        found = nowcast(**usual, least_matured=1.1, most_never_labelled=1.0)  # type: ignore[arg-type]
        return asdict(found) | asdict(same_age(**columns))

    together = both(arrays)

    alone = both({name: values[~empty] for name, values in arrays.items()})
    for name, expected in alone.items():
        np.testing.assert_allclose(expected, together[name], rtol=1e-9, atol=1e-12, err_msg=name)
    assert (together["reason"] == Unidentified.IDENTIFIED) == (not np.isnan(together["estimate"]))


def test_without_a_benign_label_yet_the_lower_limit_knows_how_late_benign_labels_come() -> None:
    none_yet = nowcast(**small(benign=[[5, 15], [6, 14], [0, 0]]))  # type: ignore[arg-type]
    early = nowcast(**small(benign=[[15, 5], [14, 6], [0, 0]]))  # type: ignore[arg-type]

    assert [1.0, 1.0] == [float(none_yet.estimate), float(none_yet.upper)]
    assert none_yet.lower < early.lower < wilson(40, 40).lower + 0.01


SQUARES: dict[str, object] = {
    "square_violating": [[600, 200], [640, 160], [400, 0]],
    "square_benign": [[50, 150], [60, 140], [40, 0]],
    "square_selected": [1000, 1000, 800],
}
"""Of sums of ten, a tenth as many decisions with a weight of ten each."""

REASONS = {
    Unidentified.NO_LABELS: small(violating=[[60, 20], [64, 16], [0, 0]], benign=[[5, 15], [6, 14], [0, 0]]),
    Unidentified.NO_MATURED_COHORT: small(
        age=[1, 1, 1], violating=[[60, 0], [64, 0], [40, 0]], benign=[[5, 0], [6, 0], [4, 0]]
    ),
    Unidentified.FEW_MATURED_LABELS: small(benign=[[1, 1], [1, 1], [4, 0]]) | {"selected": [82, 82, 80]},
    Unidentified.NOT_YET_ARRIVING: small(benign=[[0, 20], [0, 20], [0, 0]]),
    Unidentified.NEVER_LABELLED: small(selected=[120, 120, 80]),
}


@pytest.mark.parametrize("reason", REASONS)
def test_what_is_not_identified_has_a_reason_and_bounds_and_no_number(reason: Unidentified) -> None:
    found = nowcast(**REASONS[reason])  # type: ignore[arg-type]

    assert reason == found.reason
    assert np.isnan([found.estimate, found.lower, found.upper, found.variance, found.interval_n]).all()
    assert 0 <= found.lower_bound < found.upper_bound <= 1
    assert not np.isnan(found.matured)


def test_the_share_that_never_gets_a_label_is_told_and_can_be_accepted() -> None:
    found = nowcast(**small(selected=[120, 130, 80]), most_never_labelled=0.5)  # type: ignore[arg-type]

    assert 50 / 250 == pytest.approx(float(found.never_labelled))
    assert 0.78 == round(float(found.estimate), 3)


def test_bounds_hold_the_truth_whatever_the_delay() -> None:
    rng = np.random.default_rng(2)
    violating = rng.random((2000, 300)) < 0.9
    labelled = rng.random((2000, 300)) < np.where(violating, 0.2, 0.9)
    counts = [np.sum(labelled & which, axis=1)[:, None, None] for which in (violating, ~violating)]

    found = nowcast(counts[0], counts[1], selected=[300], age=[1], window=[True])

    assert np.mean((found.lower_bound <= 0.9) & (found.upper_bound >= 0.9)) >= 0.95


def test_series_do_not_touch_each_other_and_sums_of_workers_add_up() -> None:
    windows = study.simulate(300, 0.8, 9, runs=6, rng=np.random.default_rng(4), reference=0.9)

    together = study.nowcast_of(windows)

    alone = nowcast(
        windows.violating[3],
        windows.benign[3],
        selected=windows.selected[3],
        age=windows.age,
        window=study.WINDOW,
        square_violating=windows.square_violating[3],
        square_benign=windows.square_benign[3],
        square_selected=windows.square_selected[3],
    )
    for name in ("estimate", "lower", "upper", "variance", "lower_bound", "upper_bound", "completeness"):
        assert getattr(alone, name) == getattr(together, name)[3]
    # Older cohorts of one age may be merged into one.
    split = nowcast(**small())  # type: ignore[arg-type]
    merged = nowcast([[124, 36], [40, 0]], [[11, 29], [4, 0]], selected=[200, 80], age=[2, 1], window=[False, True])
    assert float(split.lower) == pytest.approx(float(merged.lower), rel=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"selected": [100, 100, 40]}, "selected: found more labels than decisions"),
        ({"age": [2, 1, 1]}, "violating: found labels in a delay bin that has not passed"),
        ({"benign": [[5, 15], [6, 14], [float("nan"), 0]]}, "benign: found nan at position 2, 0"),
        ({"confidence": 95}, "0 < confidence < 1"),
        (SQUARES | {"square_benign": [1.0]}, "square_benign: shape"),
        (SQUARES | {"square_violating": np.zeros((3, 2))}, "square_violating: found 0.0 at position 0, 0"),
        (SQUARES | {"square_selected": [1000, 1000, 0]}, "square_selected: found 0.0 at position 2"),
        (SQUARES | {"square_selected": None}, "square_selected: missing beside square_violating, square_benign"),
        ({"square_selected": [1000, 1000, 800]}, "square_violating, square_benign: missing beside square_selected"),
        ({"least_matured": 1.0}, "least_matured: got 1.0"),
        ({"most_never_labelled": 2.0}, "most_never_labelled: got 2.0"),
    ],
)
def test_impossible_arguments_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nowcast(**small(**change))  # type: ignore[arg-type]


def at_same_age(windows: study.Windows) -> np.ndarray:
    return same_age(
        windows.violating,
        windows.benign,
        selected=windows.selected,
        age=windows.age,
        window=study.WINDOW,
        reference=~study.WINDOW,
        square_violating=windows.square_violating,
        square_benign=windows.square_benign,
    ).p_value


def test_at_the_same_age_an_unchanged_model_is_rarely_told_from_its_reference_and_a_worse_one_often() -> None:
    same, worse = (
        study.simulate(1000, 0.8, 6, runs=2000, rng=np.random.default_rng(3), reference=reference)
        for reference in (0.8, 0.9)
    )

    assert 0.03 <= np.mean(at_same_age(same) < 0.05) <= 0.07
    assert np.mean(at_same_age(worse) < 0.05) > 0.9


def test_cohorts_are_matched_by_age_so_that_more_early_labels_make_no_difference() -> None:
    # Every cohort: of 100 decisions 60 violating labels come first and 20 later, 5 benign first and 15 later.
    found = same_age(
        [[60, 20], [60, 20], [60, 0], [60, 20]],
        [[5, 15], [5, 15], [5, 0], [5, 15]],
        selected=[100, 100, 100, 100],
        age=[2, 2, 1, 2],
        window=[False, False, True, True],
        reference=[True, True, False, False],
    )

    assert 0.0 == pytest.approx(float(found.difference))
    assert 140 / 165 == pytest.approx(float(found.window))
    assert float(found.window_matured) == pytest.approx(float(found.reference_matured))


def test_a_reference_that_is_too_young_says_nothing() -> None:
    found = same_age(
        [[60, 0], [60, 20]],
        [[5, 0], [5, 15]],
        selected=[100, 100],
        age=[1, 2],
        window=[False, True],
        reference=[True, False],
    )

    assert np.isnan([found.reference, found.difference, found.p_value, found.reference_matured]).all()
    assert 0.8 == found.window


def test_at_the_same_age_the_squares_of_one_verdict_need_those_of_the_other() -> None:
    with pytest.raises(ValueError, match="square_benign: missing beside square_violating, allowed are the squares"):
        same_age(**small(reference=[True, True, False], square_violating=SQUARES["square_violating"]))  # type: ignore[arg-type]


def test_a_cohort_cannot_be_its_own_reference() -> None:
    with pytest.raises(ValueError, match="reference: found a cohort of the window"):
        same_age([[1]], [[1]], selected=[2], age=[1], window=[True], reference=[True])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([2], "found 2.0 at position 0, allowed are 0 and 1"),
        ([0, 0, float("nan")], "found nan at position 2, allowed are 0 and 1"),
        ([1], r"got shape \(1,\), allowed is \(..., 3\)"),
        ([[0], [0], [1]], r"got shape \(3, 1\), allowed is \(..., 3\)"),
        (True, r"got shape \(\), allowed is \(..., 3\)"),
    ],
)
def test_what_marks_no_cohorts_is_refused(bad: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"window: {message}"):
        nowcast(**small(window=bad))  # type: ignore[arg-type]
    for name, other in (("window", "reference"), ("reference", "window")):
        with pytest.raises(ValueError, match=f"{name}: {message}"):
            same_age(**small(**{name: bad, other: [1, 0, 0]}))  # type: ignore[arg-type]


def test_bounds_hold_where_rounding_leaves_weight_without_a_square() -> None:
    weight = 1 / 0.3
    selected = weight + weight + weight * 8
    found = nowcast(
        [[weight * 10]],
        [[0.0]],
        selected=[selected + 1e-14],
        age=[1],
        window=[True],
        square_violating=[[weight**2 * 10]],
        square_benign=[[0.0]],
        square_selected=[weight**2 * 10],
    )

    # All ten of ten labels are violating and none is missing: Wilson's interval of 10 of 10, and no upper limit.
    assert (float(wilson(10, 10).lower), 1.0) == pytest.approx(
        (float(found.lower_bound[()]), float(found.upper_bound[()]))
    )
