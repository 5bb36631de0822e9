"""The monitor of CBPE against simulation with and without concept drift."""

import numpy as np
import pytest

from detectors.label_free import calibration_gap


def test_a_gap_is_seen_under_concept_drift_and_rarely_without() -> None:
    rng = np.random.default_rng(4)
    share = {}
    for name, precision in (("calm", 0.9), ("drift", 0.8)):
        audited = rng.binomial(400, precision, 4000) / 400
        found = calibration_gap(0.9, audited, audited_variance=audited * (1 - audited) / 400)
        share[name] = np.mean(found.significant)

    assert 0.035 <= share["calm"] <= 0.07
    assert share["drift"] > 0.99


def test_where_no_interval_is_known_nothing_is_said() -> None:
    found = calibration_gap([np.nan, 0.9], [0.5, 1.0], audited_variance=[0.01, 0.0])

    assert [False, False] == found.significant.tolist()
    assert np.isnan(found.lower).all()
    assert np.isnan(found.least_visible).all()


def test_a_share_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match="audited: found a number outside"):
        calibration_gap(0.9, 1.2, audited_variance=0.1)
