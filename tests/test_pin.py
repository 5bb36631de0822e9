"""References: bins from a sample, exact counts, and drift that is there only where something changed."""

from __future__ import annotations

import errno
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.event_log import FileLog
from monitor.events import Decision, Variant
from monitor.feature_bins import MAX_CATEGORIES, Sample, TooManyFeatures, features, score_edges
from monitor.layout import CategoricalFeature, NumericFeature
from monitor.pin import Pinning, pin, write_reference
from monitor.reference import InvalidReference, Reference, load_reference
from monitor.replay import replay
from monitor.settings import Settings, load_settings
from monitor.simulate.incidents import MissingFeature, Rollout
from monitor.topics import DECISIONS
from tests.recount import lines
from tests.simulate.helpers import START, decisions, log, model, scenario
from tests.simulated_files import file_of, two_models, write

MINUTES = 30
SETTINGS = load_settings(None, {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pin")
    write(two_models(), folder, minutes=MINUTES)
    return folder


@pytest.fixture(scope="module")
def reference(folder: Path) -> Reference:
    return pin([FileLog(DECISIONS, file_of(DECISIONS, folder))], SETTINGS, Pinning(), source="decisions.jsonl")


def distinct(path: Path) -> list[dict[str, Any]]:
    return list({event["decision_id"]: event for event in lines(path)}.values())


def with_reference(reference: Reference, path: Path) -> Settings:
    write_reference(reference, path)
    settings = path.with_name("monitor.yaml")
    settings.write_text(f"drift:\n  reference: {path}\n")
    return load_settings(settings, {})


def drift(settings: Settings, path: Path, output: Path) -> list[dict[str, Any]]:
    """Drift readings of whole policies over a day, at the end of a file of decisions."""
    replay([FileLog(DECISIONS, path)], settings, output, version="1", every_minutes=24 * 60)
    told = lines(output / "readings.jsonl")
    last = told[-1]["at"]
    return [
        line
        for line in told
        if (line["at"], line["quantity"], line["window"]) == (last, "drift", "24h") and line["segment"] == "all"
    ]


def test_score_counts_equal_numpys_histogram(folder: Path, reference: Reference) -> None:
    published = distinct(file_of(DECISIONS, folder))
    for pinned in reference.models:
        for series in pinned.series:
            name, _, value = series.segment.partition("=")
            scores = [
                event["score"]
                for event in published
                if (event["model"], event["policy"]) == (pinned.model, series.policy)
                and (series.segment == "all" or event[name] == value)
            ]
            # NumPy's bins include their lower bound, ours the upper: negate.
            bounds = [-np.inf, *(-edge for edge in reversed(pinned.score_edges)), np.inf]
            counts, _ = np.histogram([-score for score in scores], bounds)
            assert tuple(reversed(counts.tolist())) == series.score
            assert len(scores) == series.decisions


def test_category_counts_equal_a_plain_count(folder: Path, reference: Reference) -> None:
    published = distinct(file_of(DECISIONS, folder))
    pinned = next(model for model in reference.models if model.model == "uniform")
    feature = next(feature for feature in pinned.features if feature.name == "source")
    assert isinstance(feature, CategoricalFeature)
    assert ("app", "web") == feature.categories
    for series in pinned.series:
        if series.segment == "all":
            told = Counter(
                event["features"]["source"]
                for event in published
                if (event["model"], event["policy"]) == ("uniform", series.policy)
            )
            assert (told["app"], told["web"], 0) == series.features["source"]


def test_numeric_bins_hold_equal_shares(reference: Reference) -> None:
    pinned = next(model for model in reference.models if model.model == "uniform")
    counts = np.sum([series.features["length"] for series in pinned.series if series.segment == "all"], axis=0)
    assert 10 == len(counts)
    assert np.allclose(counts / counts.sum(), 0.1, atol=0.02)


def test_a_reference_that_cannot_be_written_leaves_the_former_one_whole(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "reference.json"
    write_reference(reference, path)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("monitor.pin.msgspec.json.format", full)
    with pytest.raises(OSError, match="No space left"):
        write_reference(reference, path)
    assert before == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


def test_the_file_is_read_back_and_always_the_same(folder: Path, reference: Reference, tmp_path: Path) -> None:
    write_reference(reference, tmp_path / "a.json")
    again = pin([FileLog(DECISIONS, file_of(DECISIONS, folder))], SETTINGS, Pinning(), source="decisions.jsonl")
    write_reference(again, tmp_path / "b.json")
    assert reference == load_reference(tmp_path / "a.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert "decisions.jsonl" == reference.source
    times = [event["occurred_at"] for event in lines(file_of(DECISIONS, folder))]
    assert (min(times), max(times)) == (reference.first_decision, reference.last_decision)


def test_the_same_data_has_no_drift(folder: Path, reference: Reference, tmp_path: Path) -> None:
    settings = with_reference(reference, tmp_path / "reference.json")
    found = drift(settings, file_of(DECISIONS, folder), tmp_path / "out")
    assert {("score", "psi"), ("length", "ks"), ("source", "jensen_shannon")} <= {
        (line["input"], line["method"]) for line in found
    }
    for line in found:
        assert math.isclose(0.0, line["value"], abs_tol=1e-9), line
        assert line.get("p_value") is None or line["p_value"] > 0.99


def test_new_data_of_the_same_kind_has_no_significant_drift(reference: Reference, tmp_path: Path) -> None:
    settings = with_reference(reference, tmp_path / "reference.json")
    write(two_models(), tmp_path / "in", minutes=MINUTES, seed=8, start_ms=START + 86_400_000)
    found = drift(settings, tmp_path / "in" / "decisions.jsonl", tmp_path / "out")
    p_values = [line["p_value"] for line in found if line.get("p_value") is not None]
    assert len(p_values) >= 8
    assert min(p_values) > 0.05 / len(p_values) / 10
    assert all(line["value"] < line["threshold"] for line in found if line["sample"] > 500)


def test_changed_data_is_above_the_threshold_and_significant(reference: Reference, tmp_path: Path) -> None:
    settings = with_reference(reference, tmp_path / "reference.json")
    shifted = two_models(
        Rollout(start_minute=0, model="stratified", version="2.0.0", score_shift=1.5),
        MissingFeature(start_minute=0, model="uniform", feature="length", share=0.5),
    )
    write(shifted, tmp_path / "in", minutes=MINUTES, seed=8, start_ms=START + 86_400_000)
    found = drift(settings, tmp_path / "in" / "decisions.jsonl", tmp_path / "out")
    psi = {
        (line["model"], line["model_version"], line["policy"], line["input"]): line
        for line in found
        if line["method"] == "psi"
    }
    for policy in ("hate", "spam"):
        changed, same = psi["stratified", "2.0.0", policy, "score"], psi["uniform", "1.0.0", policy, "score"]
        assert changed["value"] > changed["threshold"]
        assert changed["p_value"] < 1e-6
        assert same["value"] < same["threshold"]
        assert same["p_value"] > 1e-4


def test_only_champions_count_unless_told(tmp_path: Path) -> None:
    what = scenario(
        model(rate=300.0),
        incidents=(Rollout(start_minute=0, model="m", version="2", variant="shadow", traffic_share=0.5),),
    )
    write(what, tmp_path, minutes=10)
    published = distinct(tmp_path / "decisions.jsonl")
    for variants in ({Variant.CHAMPION}, {Variant.CHAMPION, Variant.SHADOW}):
        (pinned,) = pin(
            [FileLog(DECISIONS, tmp_path / "decisions.jsonl")],
            SETTINGS,
            Pinning(variants=frozenset(variants)),
            source="x",
        ).models
        expected = sum(event["variant"] in {variant.value for variant in variants} for event in published)
        assert expected == sum(series.decisions for series in pinned.series if series.segment == "all")


def test_a_wrong_value_in_a_field_that_nothing_is_counted_of_costs_no_decision(
    folder: Path, reference: Reference, tmp_path: Path
) -> None:
    path = tmp_path / "decisions.jsonl"
    told = [json.dumps(event | {"threshold": 70}) for event in lines(file_of(DECISIONS, folder))]
    path.write_text("\n".join(told))
    found = pin([FileLog(DECISIONS, path)], SETTINGS, Pinning(), source="decisions.jsonl")
    assert reference == found


def test_too_few_decisions_and_unknown_models_are_refused(folder: Path) -> None:
    logs = [FileLog(DECISIONS, file_of(DECISIONS, folder))]
    with pytest.raises(InvalidReference, match=r"too few decisions of stratified \(\d+\), uniform \(\d+\): .* 100000"):
        pin(logs, SETTINGS, Pinning(minimum_decisions=100_000), source="x")
    with pytest.raises(InvalidReference, match=r"no decisions of model nope; there are .*: stratified, uniform"):
        pin(logs, SETTINGS, Pinning(models=frozenset({"nope"})), source="x")
    with pytest.raises(InvalidReference, match=r"more than 1 models, the configured limits\.models"):
        pin(logs, load_settings(None, {"MONITOR_LIMITS__MODELS": "1"}), Pinning(), source="x")


def test_models_and_features_can_be_chosen(folder: Path) -> None:
    what = Pinning(models=frozenset({"uniform"}), features=frozenset({"length"}), feature_bins=4)
    (pinned,) = pin([FileLog(DECISIONS, file_of(DECISIONS, folder))], SETTINGS, what, source="x").models
    assert ("uniform", ["length"], [4]) == (
        pinned.model,
        [feature.name for feature in pinned.features],
        [feature.bins for feature in pinned.features],
    )


Features = dict[str, float | str | None]


def sample_of(*told: Features, scores: list[float] | None = None) -> Sample:
    (first, *_) = decisions(log(scenario(model(rate=10.0)), minutes=1))
    sample = Sample(size=len(told))
    for index, values in enumerate(told):
        sample.add(
            Decision(
                decision_id=f"d{index}",
                occurred_at=first.occurred_at,
                model="m",
                model_version="1",
                policy="p",
                action=first.action,
                score=0.5 if scores is None else scores[index],
                features=values,
            )
        )
    return sample


def test_a_sample_does_not_depend_on_the_order_of_the_log() -> None:
    events = decisions(log(scenario(model(rate=400.0)), minutes=2))
    forward, backward = Sample(size=50), Sample(size=50)
    for one, other in zip(events, reversed(events), strict=True):
        forward.add(one)
        backward.add(other)
    assert forward.values() == backward.values()
    assert (50, len(events)) == (len(forward.values()), forward.decisions)


def test_a_constant_feature_has_bins_below_at_and_above_it() -> None:
    told: Features = {"x": 3.0}
    (feature,) = features(sample_of(*[told] * 20), bins=10)
    assert isinstance(feature, NumericFeature)
    assert [0, 1, 2] == np.searchsorted(feature.edges, [2.999, 3.0, 3.001], side="left").tolist()
    assert (3.0, 3.0) == (feature.low, feature.high)


def test_a_feature_is_of_the_kind_that_most_of_its_values_are() -> None:
    told: list[Features] = [
        {"x": "a", "y": 1.0},
        {"x": "a", "y": 2.0},
        {"x": 1.0, "y": "b"},
        {"x": None},
    ]
    kinds = {feature.name: type(feature) for feature in features(sample_of(*told), bins=2)}
    assert {"x": CategoricalFeature, "y": NumericFeature} == kinds


def test_rare_and_excess_categories_count_with_everything_else() -> None:
    told: list[Features] = [{"x": f"c{index % 60}"} for index in range(1200)]
    (feature,) = features(sample_of(*told), bins=10)
    assert isinstance(feature, CategoricalFeature)
    assert MAX_CATEGORIES == len(feature.categories)
    common: Features = {"x": "common"}
    (feature,) = features(sample_of(*[common] * 2000, {"x": "rare"}), bins=10)
    assert isinstance(feature, CategoricalFeature)
    assert ("common",) == feature.categories


def test_more_features_than_allowed_must_be_chosen() -> None:
    told: Features = {f"f{index}": 1.0 for index in range(51)}
    with pytest.raises(TooManyFeatures, match="51 features, at most 50"):
        features(sample_of(told), bins=10)
    assert ["f7"] == [feature.name for feature in features(sample_of(told), bins=10, names={"f7"})]


def test_a_feature_called_score_is_left_out_and_refused_when_asked_for(folder: Path) -> None:
    told: Features = {"score": 1.0, "x": 2.0}
    assert ["x"] == [feature.name for feature in features(sample_of(told), bins=10)]
    with pytest.raises(InvalidReference, match="feature score: the model's own score"):
        pin(
            [FileLog(DECISIONS, file_of(DECISIONS, folder))],
            SETTINGS,
            Pinning(features=frozenset({"score"})),
            source="x",
        )


def test_scores_of_zero_and_one_only_have_one_edge_between_them() -> None:
    assert (0.5,) == score_edges(sample_of({}, {}, scores=[0.0, 1.0]))


def test_the_reference_file_is_plain_json(reference: Reference, tmp_path: Path) -> None:
    write_reference(reference, tmp_path / "new" / "reference.json")
    told = json.loads((tmp_path / "new" / "reference.json").read_text())
    assert 1 == told["format"]
    assert ["stratified", "uniform"] == [model["model"] for model in told["models"]]
