"""Layouts: columns do not overlap, and a changed setting keeps every group whose meaning has not changed."""

from __future__ import annotations

import numpy as np

from monitor.events import Action
from monitor.layout import SCORE_EDGES, CategoricalFeature, Layout, NumericFeature

LENGTH = NumericFeature("length", edges=(0.0, 1.0), low=-1.0, high=2.0)
KIND = CategoricalFeature("kind", categories=("a", "b"))


def kept(before: Layout, after: Layout) -> set[str]:
    """Names of the groups of `before` whose columns `after` takes over, each in full and in order."""
    translation = after.translation(before.signature)
    if translation is None:
        return {group.name for group in before.groups}
    places = {group.name: group for group in after.groups}
    names = set()
    for group in before.groups:
        columns = translation[group.columns].tolist()
        if set(columns) != {-1}:
            own = places[group.name]
            assert list(range(own.start, own.start + own.width)) == columns
            names.add(group.name)
    return names


def test_groups_cover_the_row_without_overlap() -> None:
    layout = Layout(features=(LENGTH, KIND), thresholds=(0.123,))
    columns = [column for group in layout.groups for column in range(group.columns.start, group.columns.stop)]
    assert list(range(layout.width)) == columns
    assert layout.width == sum(width for *_, width in layout.signature)


def test_equal_settings_give_equal_signatures_in_every_process() -> None:
    first = Layout(thresholds=(0.5, 0.81), features=(LENGTH,))
    second = Layout(thresholds=[0.81], features=[NumericFeature("length", edges=(0.0, 1.0), low=-1.0, high=2.0)])
    assert first.signature == second.signature
    assert second.translation(first.signature) is None


def test_thresholds_become_edges_once_and_only_inside_the_unit_interval() -> None:
    layout = Layout(thresholds=(0.0, 1.0, 0.5, 0.333))
    assert sorted({*SCORE_EDGES, 0.333}) == layout.score_edges.tolist()


def test_a_new_threshold_changes_the_score_histogram_only() -> None:
    before, after = Layout(features=(KIND,)), Layout(thresholds=(0.333,), features=(KIND,))
    assert {group.name for group in before.groups} - {"score"} == kept(before, after)


def test_features_keep_their_columns_when_others_come_go_or_change_places() -> None:
    before, after = Layout(features=(LENGTH, KIND)), Layout(features=(KIND,))
    assert {group.name for group in before.groups} - {"feature:length"} == kept(before, after)
    assert {group.name for group in before.groups} == kept(before, Layout(features=(KIND, LENGTH)))


def test_a_feature_with_other_bins_starts_anew() -> None:
    other = NumericFeature("length", edges=(0.0, 2.0), low=-1.0, high=2.0)
    assert "feature:length" not in kept(Layout(features=(LENGTH,)), Layout(features=(other,)))
    assert "feature:kind" not in kept(
        Layout(features=(KIND,)), Layout(features=(CategoricalFeature("kind", categories=("b", "a")),))
    )


def test_other_positive_actions_change_the_labels_and_nothing_else() -> None:
    before, after = Layout(), Layout(positive_actions={Action.REMOVE})
    changed = {"labels", "weights", "squared_weights"}
    assert {group.name for group in before.groups} - changed == kept(before, after)


def test_an_empty_signature_translates_to_nothing() -> None:
    found = Layout().translation(())
    assert found is not None
    assert 0 == found.size


def test_day_cohorts_keep_counts_but_no_histograms() -> None:
    layout = Layout(features=(LENGTH,))
    daily = {group.name for group in layout.groups if layout.daily[group.columns].all()}
    dropped = {group.name for group in layout.groups if not layout.daily[group.columns].any()}
    assert {"score", "latency", "latency_sum", "feature:length"} == dropped
    assert {group.name for group in layout.groups} == daily | dropped
    assert np.bool_ == layout.daily.dtype
