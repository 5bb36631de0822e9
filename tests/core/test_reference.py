"""The pinned reference: files that cannot be used are refused with their place, series fall back to their policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monitor.layout import CategoricalFeature, Layout, NumericFeature
from monitor.reference import Baseline, InvalidReference, ModelReference, ReferenceSeries, baselines, load_reference
from monitor.snapshot import SeriesKey


def series(**fields: Any) -> dict[str, Any]:
    told = {"policy": "p", "segment": "all", "decisions": 6, "score": [1, 2, 3], "features": {"x": [1, 2], "k": [3, 4]}}
    return told | fields


def tree(**fields: Any) -> dict[str, Any]:
    model = {
        "model": "m",
        "score_edges": [0.25, 0.5],
        "features": [
            {"type": "numeric", "name": "x", "edges": [0.0], "low": -1.0, "high": 1.0},
            {"type": "categorical", "name": "k", "categories": ["a"]},
        ],
        "series": [series()],
    }
    top = {"format": 1, "source": "file", "first_decision": "", "last_decision": ""}
    return top | {"models": [model | fields]}


def load(folder: Path, content: Any) -> Any:
    path = folder / "reference.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return load_reference(path)


def test_a_good_file_is_read(tmp_path: Path) -> None:
    found = load(tmp_path, tree())
    (model,) = found.models
    assert (0.25, 0.5) == model.score_edges
    assert [NumericFeature, CategoricalFeature] == [type(feature) for feature in model.features]
    assert {"m"} == set(baselines(found))
    assert {} == baselines(None)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "reference.json: Input data was truncated"),
        ("[]", "Expected `object`, got `array`"),
        (tree() | {"format": 2}, "format: expected 1, got 2"),
        (tree() | {"extra": 1}, "unknown field `extra`"),
        (tree() | {"models": tree()["models"] * 2}, "models: expected each model once"),
        (tree(score_edges=[0.5, 0.25]), "model m: score_edges: expected ascending numbers between 0 and 1"),
        (tree(score_edges=[0.25, 1.0]), "model m: score_edges: expected ascending numbers between 0 and 1"),
        (tree(series=[series(score=[1, 2])]), "policy p, segment all: score: expected 3 bins"),
        (tree(series=[series(score=[1, 2, -3])]), "score"),
        (tree(series=[series(score=[1, 2, 2**53 + 1])]), "Expected `int` <= 9007199254740992"),
        (tree(series=[series(score=[1, 2, 10**30])]), "Expected `int` <= 9007199254740992"),
        (tree(series=[series(features={"x": [1, 10**30], "k": [3, 4]})]), "Expected `int` <= 9007199254740992"),
        (tree(series=[series(decisions=10**30)]), "Expected `int` <= 9007199254740992"),
        (tree(series=[series(decisions=-1)]), "Expected `int` >= 0"),
        (tree(series=[series(features={"x": [1, 2]})]), "features: expected bins"),
        (tree(features=[{"type": "numeric", "name": "x", "edges": [1, 0], "low": 0, "high": 1}]), "feature x: edges"),
        (tree(features=[{"type": "numeric", "name": "x", "edges": [0], "low": 2, "high": 1}]), "low <= high"),
        (tree(features=[{"type": "categorical", "name": "k", "categories": ["a", "a"]}]), "categories: expected each"),
        (tree(features=[{"type": "categorical", "name": "k", "categories": ["a"]}] * 2), "features: expected each"),
        (tree(features=[{"type": "categorical", "name": "score", "categories": ["a"]}]), "another name than `score`"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) > 3 else "",
)
def test_a_file_that_cannot_be_used_is_refused_with_the_place(tmp_path: Path, content: Any, told: str) -> None:
    with pytest.raises(InvalidReference, match=r"reference .*reference\.json") as error:
        load(tmp_path, content)
    assert told in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidReference, match=r"nothing\.json: cannot be read: No such file"):
        load_reference(tmp_path / "nothing.json")


def test_a_file_that_is_not_in_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    path.write_bytes(json.dumps(tree()).encode().replace(b'"file"', b'"\xe9"'))
    with pytest.raises(InvalidReference, match=r"reference\.json: expected JSON in UTF-8: "):
        load_reference(path)


def test_the_largest_counts_are_taken(tmp_path: Path) -> None:
    found = baselines(load(tmp_path, tree(series=[series(score=[1, 2, 2**53])])))
    assert [[1, 2, 2**53]] == found["m"].counts(None, [key("p", "all")]).tolist()


def baseline() -> Baseline:
    whole = ReferenceSeries("p", "all", 6, (1, 2, 3), {"k": (3, 4)})
    spanish = ReferenceSeries("p", "language=es", 3, (1, 1, 1), {"k": (1, 0)})
    feature = CategoricalFeature("k", categories=("a",))
    return Baseline(ModelReference("m", (0.25, 0.5), (feature,), (whole, spanish)))


def key(policy: str, segment: str) -> SeriesKey:
    return SeriesKey("m", "1", "champion", policy, segment)


def test_a_segment_without_a_reference_is_compared_with_its_policy_and_an_unknown_policy_with_nothing() -> None:
    keys = [key("p", "all"), key("p", "language=es"), key("p", "language=en"), key("q", "all")]
    assert [[1, 2, 3], [1, 1, 1], [1, 2, 3], [0, 0, 0]] == baseline().counts(None, keys).tolist()
    assert [[3, 4], [1, 0], [3, 4], [0, 0]] == baseline().counts("k", keys).tolist()
    assert (0, 3) == baseline().counts(None, []).shape


def test_the_bins_of_the_reference_are_joined_from_finer_ones() -> None:
    layout = Layout(thresholds=(0.25, 0.5))
    first, second, third = baseline().score_bins(layout).tolist()
    edges = layout.score_edges.tolist()
    assert (0, edges.index(0.25) + 1, edges.index(0.5) + 1) == (first, second, third)
