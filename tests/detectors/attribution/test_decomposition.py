"""The decomposition: exact on any cells, equal to brute force, to the planted factor, with honest errors."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.attribution import (
    Cells,
    Decomposition,
    Dimension,
    Factor,
    Role,
    WindowSums,
    cells,
    collapse,
    decompose,
    window_sums,
)

AXES = (
    Dimension("policy", ("hate", "spam")),
    Dimension("language", ("en", "pt")),
    Dimension("model", ("v1", "v2"), Role.VERSION),
    Dimension("rules", ("old", "new"), Role.REVIEWER),
)
CODES = np.indices((2, 2, 2, 2)).reshape(4, -1).T


def random_window(rng: np.random.Generator, *, empty: float) -> WindowSums:
    """Any sums: whole segments, versions, reviewers or single cells may be missing."""
    size = len(CODES)
    decisions = rng.integers(1, 1000, size) * (rng.random(size) > empty)
    for column in range(4):
        if rng.random() < empty / 2:
            decisions[CODES[:, column] == rng.integers(2)] = 0
    decided = np.bincount(CODES[:, :3] @ [4, 2, 1], decisions)[CODES[:, :3] @ [4, 2, 1]]
    arrived = rng.integers(0, 4, (2, size)) * rng.uniform(0.5, 5, (2, size)) * (decided > 0)
    mature = arrived * rng.uniform(1, 2, (2, size))
    return window_sums(
        arrived[0], arrived[1], decisions=decisions, mature_positive=mature[0], mature_negative=mature[1]
    )


def random_cells(seed: int, empty: float = 0.3) -> Cells:
    rng = np.random.default_rng(seed)
    return cells(AXES, CODES, reference=random_window(rng, empty=empty), current=random_window(rng, empty=empty))


def swapped(both: Cells) -> Cells:
    return Cells(both.dimensions, both.codes, both.current, both.reference)


@settings(max_examples=100)
@given(st.integers(0, 10**9), st.sampled_from([0.0, 0.3, 0.7]))
def test_components_add_up_to_the_observed_change_whatever_is_missing(seed: int, empty: float) -> None:
    both = random_cells(seed, empty)

    found = decompose(both)

    change = both.current.rate - both.reference.rate
    if np.isnan(change):
        assert np.isnan(found.components).all()
        assert np.isnan(found.standard_errors).all()
    else:
        assert float(found.components.sum()) == pytest.approx(change, abs=1e-9)
        assert abs(found.residual) < 1e-9
        assert np.isfinite(found.standard_errors).all()


@settings(max_examples=25)
@given(st.integers(0, 10**9))
def test_swapping_the_windows_changes_all_signs_and_no_error(seed: int) -> None:
    both = random_cells(seed)

    there, back = decompose(both), decompose(swapped(both))

    np.testing.assert_allclose(there.components, -back.components, atol=1e-12)
    np.testing.assert_allclose(there.standard_errors, back.standard_errors, atol=1e-12)


@settings(max_examples=25)
@given(st.integers(0, 10**9))
def test_neither_the_order_of_rows_nor_how_sums_are_split_nor_the_codes_of_values_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    both = random_cells(seed)
    order = rng.permutation(np.tile(np.arange(len(CODES)), 2))
    renamed = CODES ^ rng.integers(0, 2, 4)

    def half(window: WindowSums) -> WindowSums:
        return WindowSums(*(getattr(window, name)[order] / 2 for name in WindowSums.__slots__))

    again = decompose(cells(AXES, renamed[order], reference=half(both.reference), current=half(both.current)))

    np.testing.assert_allclose(again.components, decompose(both).components, atol=1e-12)


def brute_force(both: Cells) -> dict[Factor, float]:
    """Every order of switching, over dictionaries of conditionals, where all cells of both windows hold everything."""
    tables = []
    for window in (both.reference, both.current):
        rows = [tuple(code) for code in both.codes.tolist()]
        n = dict(zip(rows, window.decisions.tolist(), strict=True))
        yes, no = (
            dict(zip(rows, window.mature_positive, strict=True)),
            dict(zip(rows, window.mature_negative, strict=True)),
        )
        got_yes, got_no = dict(zip(rows, window.positive, strict=True)), dict(zip(rows, window.negative, strict=True))

        def total(table: dict[tuple[int, ...], float], row: tuple[int, ...], depth: int) -> float:
            return sum(table[other] for other in table if other[:depth] == row[:depth])

        weight = {row: yes[row] + no[row] for row in rows}
        tables.append(
            {
                Factor.MIX: {row: total(n, row, 2) for row in rows},
                Factor.VERSION: {row: total(n, row, 3) / total(n, row, 2) for row in rows},
                Factor.SAMPLING: {row: total(weight, row, 3) / total(n, row, 3) for row in rows},
                Factor.REVIEWER: {row: weight[row] / total(weight, row, 3) for row in rows},
                Factor.WITHIN: {row: yes[row] / weight[row] for row in rows},
                Factor.MATURITY: {row: (got_yes[row] / yes[row], got_no[row] / no[row]) for row in rows},
            }
        )

    def rate(window: dict[Factor, int]) -> float:
        above = below = 0.0
        for row in (tuple(code) for code in both.codes.tolist()):
            part = {factor: tables[window[factor]][factor][row] for factor in Factor}
            volume = part[Factor.MIX] * part[Factor.VERSION] * part[Factor.SAMPLING] * part[Factor.REVIEWER]
            above += volume * part[Factor.WITHIN] * part[Factor.MATURITY][0]
            below += volume * (1 - part[Factor.WITHIN]) * part[Factor.MATURITY][1]
        return above / (above + below)

    found = dict.fromkeys(Factor, 0.0)
    rates: dict[tuple[int, ...], float] = {}
    for order in itertools.permutations(Factor):
        taken = dict.fromkeys(Factor, 0)
        for factor in order:
            before = tuple(taken.values())
            taken[factor] = 1
            for state in (before, tuple(taken.values())):
                if state not in rates:
                    rates[state] = rate(dict(zip(Factor, state, strict=True)))
            found[factor] += (rates[tuple(taken.values())] - rates[before]) / 720
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_components_are_the_mean_over_all_720_orders_of_swapping_one_factor_after_the_other(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def full() -> WindowSums:
        arrived = rng.uniform(1, 50, (2, len(CODES)))
        mature = arrived * rng.uniform(1, 2, (2, len(CODES)))
        decisions = rng.integers(50, 500, len(CODES))
        return window_sums(*arrived, decisions=decisions, mature_positive=mature[0], mature_negative=mature[1])

    both = cells(AXES, CODES, reference=full(), current=full())

    found = decompose(both)

    for factor, component in brute_force(both).items():
        assert component == pytest.approx(found.component(factor), abs=1e-12)


def planted(factor: Factor | None, *, new_version: bool = False) -> Decomposition:
    """Expected sums of two windows that differ in one factor alone."""
    policy, language, model, rules = CODES.T
    windows = []
    for now in (False, True):
        changed = now and factor is not None
        traffic = np.where(policy == 0, 0.3, 0.7) * np.where(language == 0, 0.8, 0.2)
        if changed and factor is Factor.MIX:
            traffic = np.where(policy == 0, 0.6, 0.4) * np.where(language == 0, 0.7, 0.3)
        share = 0.0 if new_version else 0.1
        if changed and factor is Factor.VERSION:
            share = 0.8
        by_model = np.where(model == 1, share, 1 - share)
        by_rules = np.where(rules == 1, 0.9, 0.1) if changed and factor is Factor.REVIEWER else np.full(16, 0.5)
        weight = 10.0 * np.where((policy == 0) & changed & (factor is Factor.SAMPLING), 3.0, 1.0)
        rate = 0.95 - 0.1 * (policy == 0) - 0.05 * (language == 1) - 0.2 * (model == 1) - 0.06 * (rules == 1)
        rate = rate - 0.3 * ((policy == 0) & (language == 1) & changed & (factor is Factor.WITHIN))
        decisions = 1e6 * traffic * by_model * by_rules
        late = 0.6 if changed and factor is Factor.MATURITY else 1.0
        labels = decisions * weight / 1000
        windows.append(
            window_sums(
                labels * rate,
                labels * (1 - rate) * late,
                square_positive=labels * rate,
                square_negative=labels * (1 - rate) * late,
                decisions=decisions,
                mature_positive=labels * rate,
                mature_negative=labels * (1 - rate),
            )
        )
    return decompose(cells(AXES, CODES, reference=windows[0], current=windows[1]))


@pytest.mark.parametrize("factor", Factor)
def test_what_was_planted_gets_the_whole_change(factor: Factor) -> None:
    found = planted(factor)

    assert abs(found.change) > 0.01
    assert found.component(factor) == pytest.approx(found.change, abs=1e-12)


def test_a_version_that_the_reference_has_not_is_all_version() -> None:
    found = planted(Factor.VERSION, new_version=True)

    assert -0.16 == pytest.approx(found.component(Factor.VERSION))
    assert found.component(Factor.VERSION) == pytest.approx(found.change, abs=1e-12)


def test_nothing_changed_is_nothing_everywhere() -> None:
    found = planted(None)

    assert 0.0 == found.change
    np.testing.assert_allclose(found.components, 0.0, atol=1e-15)


def test_a_change_that_another_estimator_reports_leaves_the_difference_as_residual() -> None:
    both = random_cells(11, 0.0)

    found = decompose(both, observed_change=0.25)

    assert 0.25 == found.change
    assert found.residual == pytest.approx(0.25 - (both.current.rate - both.reference.rate))


def test_standard_errors_are_the_spread_over_samples() -> None:
    rng = np.random.default_rng(3)
    decisions = rng.integers(2000, 8000, (2, 16))
    rate = rng.uniform(0.7, 0.95, (2, 16))
    chance = np.stack([rng.uniform(0.01, 0.05, 16), rng.uniform(0.01, 0.05, 16)])
    drawn = []
    for _ in range(300):
        windows = []
        for window in range(2):
            positive = rng.poisson(decisions[window] * chance[window] * rate[window])
            negative = rng.poisson(decisions[window] * chance[window] * (1 - rate[window]))
            weight = 1 / chance[window]
            windows.append(
                window_sums(
                    positive * weight,
                    negative * weight,
                    square_positive=positive * weight**2,
                    square_negative=negative * weight**2,
                    decisions=decisions[window],
                )
            )
        drawn.append(decompose(cells(AXES, CODES, reference=windows[0], current=windows[1])))

    spread = np.std([found.components for found in drawn], axis=0)
    stated = np.sqrt(np.mean([found.standard_errors**2 for found in drawn], axis=0))

    assert [0.0, 0.0] == [spread[5], stated[5]]  # maturity: all labels are in
    np.testing.assert_allclose(stated[:5], spread[:5], rtol=0.2)


def test_the_error_of_a_within_change_in_one_cell_is_that_of_a_difference_of_proportions() -> None:
    both = cells([], np.zeros((1, 0)), reference=window_sums([90.0], [10.0]), current=window_sums([150.0], [50.0]))

    assert np.sqrt(0.9 * 0.1 / 100 + 0.75 * 0.25 / 200) == pytest.approx(decompose(both).standard_error(Factor.WITHIN))


def test_sums_over_fewer_dimensions_leave_the_change_as_it_is() -> None:
    both = random_cells(5)

    assert decompose(both).change == pytest.approx(decompose(collapse(both, "language", "model")).change, abs=1e-12)
