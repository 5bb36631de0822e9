"""A family of e-detectors says what single ones say, to the last bit."""

import numpy as np
import pytest

from detectors import ECusum, ESr
from detectors.sequential import EDetectors

kinds = pytest.mark.parametrize("kind", [ESr, ECusum])


def specs(kind: type[ESr] | type[ECusum]) -> list[ESr] | list[ECusum]:
    """Grids of different lengths, directions and thresholds."""
    rng = np.random.default_rng(31)
    return [  # type: ignore[return-value]
        kind(
            mean=float(rng.uniform(0.2, 0.8)),
            smallest_change=float(rng.uniform(0.01, 0.15)),
            direction=("rise", "fall", "both")[index % 3],
            average_run_length=float(rng.uniform(10, 1000)),
        )
        for index in range(17)
    ]


@kinds
def test_columns_are_what_single_updates_say(kind: type[ESr] | type[ECusum]) -> None:
    rng = np.random.default_rng(32)
    family, singles = EDetectors(specs(kind)), [spec.build() for spec in specs(kind)]
    for _ in range(60):
        x = rng.random(17)
        found = family.update(x)
        expected = [single.update(float(value)) for single, value in zip(singles, x, strict=True)]

        assert [reading.statistic for reading in expected] == found.statistic.tolist()
        assert [reading.threshold for reading in expected] == found.threshold.tolist()
        assert [reading.alarm for reading in expected] == found.alarm.tolist()


@kinds
def test_blocks_are_what_single_updates_say_however_they_are_cut(kind: type[ESr] | type[ECusum]) -> None:
    x = np.random.default_rng(33).random((17, 120))
    family, singles = EDetectors(specs(kind)), [spec.build() for spec in specs(kind)]
    found = [family.update(x[:, :70]), family.update(x[:, 70]), family.update(x[:, 71:])]
    expected = [[single.update(float(value)) for value in row] for single, row in zip(singles, x, strict=True)]
    statistic = np.column_stack([part.statistic for part in found])
    alarm = np.column_stack([part.alarm for part in found])

    assert [[reading.statistic for reading in row] for row in expected] == statistic.tolist()
    assert [[reading.alarm for reading in row] for row in expected] == alarm.tolist()


@kinds
def test_blocks_are_what_single_batches_say(kind: type[ESr] | type[ECusum]) -> None:
    x = np.random.default_rng(36).random((17, 700))
    family, singles = EDetectors(specs(kind)), [spec.build() for spec in specs(kind)]
    expected = [single.update_many(row).statistic for single, row in zip(singles, x, strict=True)]

    assert (np.stack(expected) == family.update(x).statistic).all()


def test_a_block_without_observations_changes_nothing() -> None:
    family = EDetectors(specs(ESr))
    family.update(np.full(17, 0.3))
    before = family.snapshot()

    assert (17, 0) == family.update(np.empty((17, 0))).statistic.shape
    assert (before == family.snapshot()).all()


@kinds
def test_a_series_far_beyond_the_range_of_a_float_and_back_says_what_it_says_alone(
    kind: type[ESr] | type[ECusum],
) -> None:
    x = np.concatenate([np.ones(1500), np.zeros(2500)])
    spec, calm = (kind(mean=mean, smallest_change=0.1, direction="both") for mean in (0.3, 0.5))
    pair: list[ESr] | list[ECusum] = [calm, spec]  # type: ignore[assignment]  # both of one kind
    family, single = EDetectors(pair), spec.build()
    blocks = [np.stack([np.full(len(part), 0.5), part]) for part in np.split(x, [1490, 1501, 3000])]
    statistic = np.concatenate([family.update(block).statistic[1] for block in blocks])
    rows = np.ones(20, dtype=np.int64)

    assert statistic.max() > 1000
    assert [single.update(value).statistic for value in x.tolist()] == statistic.tolist()
    assert [single.update(0.5).statistic for _ in rows] == family.update_sparse(rows, rows * 0.5).statistic.tolist()
    assert (EDetectors(pair, carried=family.snapshot()).snapshot() == family.snapshot()).all()


@kinds
def test_sparse_observations_keep_their_order_within_a_series(kind: type[ESr] | type[ECusum]) -> None:
    rng = np.random.default_rng(34)
    rows, x = rng.integers(0, 17, 300), rng.random(300)
    family, singles = EDetectors(specs(kind)), [spec.build() for spec in specs(kind)]
    found = family.update_sparse(rows, x)
    expected = [singles[row].update(float(value)) for row, value in zip(rows, x, strict=True)]

    assert [reading.statistic for reading in expected] == found.statistic.tolist()
    assert [reading.alarm for reading in expected] == found.alarm.tolist()


def test_a_snapshot_goes_on_and_a_mask_restarts() -> None:
    x = np.random.default_rng(35).random((17, 50))
    family = EDetectors(specs(ESr))
    family.update(x)
    again = EDetectors(specs(ESr), carried=family.snapshot())
    fresh = EDetectors(specs(ESr))
    mask = np.arange(17) % 2 == 0
    family.restart(mask)
    found, untouched, new = (each.update(x).statistic for each in (family, again, fresh))

    assert (found[mask] == new[mask]).all()
    assert (found[~mask] == untouched[~mask]).all()
    assert (untouched != new).any()


def test_observations_of_the_wrong_shape_or_range_are_refused_by_name() -> None:
    family = EDetectors(specs(ESr))
    before = family.snapshot()
    with pytest.raises(ValueError, match=r"x: got shape \(3,\)"):
        family.update([0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="x: found nan at position 1"):
        family.update_sparse([0, 1], [0.5, np.nan])
    with pytest.raises(ValueError, match="series: found a number outside 0 to 16"):
        family.update_sparse([17], [0.5])
    for wrong in ([True], [0] * 16 + [3], np.zeros(17)):
        with pytest.raises(ValueError, match=r"which: got .* allowed are 17 booleans"):
            family.restart(wrong)
    with pytest.raises(ValueError, match="carried: got shape"):
        EDetectors(specs(ESr), carried=[0.0])
    with pytest.raises(ValueError, match="carried: got"):
        EDetectors(specs(ESr), carried=-before)
    with pytest.raises(ValueError, match="of 0 kinds"):
        EDetectors([])

    assert (before == family.snapshot()).all()


@pytest.mark.parametrize("series", [[1.9], [1.0], [True]])
def test_numbers_of_series_that_are_no_integers_are_refused_and_change_nothing(series: list[float]) -> None:
    family = EDetectors(specs(ESr))
    before = family.snapshot()

    with pytest.raises(ValueError, match=r"series: got (float64|bool), allowed are integers"):
        family.update_sparse(series, [0.5])
    assert (before == family.snapshot()).all()


def test_narrow_integers_name_their_series_and_none_is_none() -> None:
    narrow, wide = EDetectors(specs(ESr)), EDetectors(specs(ESr))
    rows = np.array([16, 3, 16])

    found = narrow.update_sparse(rows.astype(np.uint8), [0.5, 0.2, 0.9]).statistic.tolist()

    assert wide.update_sparse(rows, [0.5, 0.2, 0.9]).statistic.tolist() == found
    assert (0,) == narrow.update_sparse([], []).statistic.shape
