"""Each scripted incident shows where it should, and nowhere else."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from scipy.stats import binomtest

from monitor.simulate import BUILT_IN, MinuteBatch, demo
from monitor.simulate.incidents import MissingFeature, PrecisionDrop, RepostStorm, Rollout, VolumeDrop
from monitor.simulate.scenario import CategoryFeature, NumberFeature
from monitor.topics import LAUNCHES
from tests.simulate.helpers import appeals, decisions, log, model, precision, reports, scenario, total

FEATURES = (
    NumberFeature(name="length", mean=100.0, sd=10.0),
    CategoryFeature(name="source", shares={"app": 0.8, "web": 0.2}, missing=0.1),
)
BASE = scenario(model(rate=12_000, features=FEATURES))


def halves(batches: tuple[MinuteBatch, ...], at: int) -> tuple[tuple[MinuteBatch, ...], tuple[MinuteBatch, ...]]:
    return batches[:at], batches[at:4]


def test_a_precision_drop_halves_precision_in_its_language_and_leaves_scores_and_volumes_as_they_were() -> None:
    drop = PrecisionDrop(start_minute=2, where={"language": "es"}, benign_share=0.5)
    batches = log(scenario(*BASE.models, incidents=(drop,)), minutes=4)
    before, after = halves(batches, 2)
    expected = total(halves(log(BASE, minutes=4), 2)[1], language="es")
    spanish = total(after, language="es")
    assert binomtest(spanish["true_positives"], expected["true_positives"], 0.5).pvalue > 1e-3
    assert precision(total(before, language="es")) > 0.8
    for name in ("decisions", "acted", "score_sum"):
        assert expected[name] == spanish[name]
    for language in ("en", "de"):
        assert total(log(BASE, minutes=4), language=language) == total(batches, language=language)
    wire = [value for one in batches[:4] for value in one.records["moderation.decisions"].values]
    assert [v for one in log(BASE, minutes=4)[:4] for v in one.records["moderation.decisions"].values] == wire


def test_an_incident_ends_when_it_should() -> None:
    drop = PrecisionDrop(start_minute=1, minutes=2, benign_share=1.0)
    hits = [total([batch])["true_positives"] for batch in log(scenario(*BASE.models, incidents=(drop,)), minutes=4)[:4]]
    assert [True, False, False, True] == [count > 0 for count in hits]


def test_a_bad_launch_announces_itself_shifts_scores_and_costs_precision() -> None:
    launch = Rollout(start_minute=2, model="m", version="2.0.0", score_shift=1.2)
    batches = log(scenario(*BASE.models, incidents=(launch,)), minutes=4)
    before, after = halves(batches, 2)
    assert {"1.0.0"} == {row.model_version for batch in before for row in batch.truth}
    assert {"2.0.0"} == {row.model_version for batch in after for row in batch.truth}
    assert precision(total(after)) < precision(total(before)) - 0.05
    assert total(after)["acted"] / total(after)["decisions"] > 1.1 * total(before)["acted"] / total(before)["decisions"]
    assert total(after)["score_sum"] > 1.1 * total(before)["score_sum"]
    events = [json.loads(value) for batch in batches for value in batch.records[LAUNCHES.topic].values]
    assert [("1.0.0", "champion"), ("2.0.0", "champion")] == [(e["model_version"], e["variant"]) for e in events]
    assert [batches[0].start_ms, batches[2].start_ms] == [
        at for batch in batches for at in batch.records[LAUNCHES.topic].timestamps.tolist()
    ]


def test_a_challenger_takes_its_share_and_the_champion_keeps_the_rest() -> None:
    canary = Rollout(
        start_minute=0, model="m", version="2.0.0", traffic_share=0.1, variant="challenger", stage="canary"
    )
    sums = {
        name: total(log(scenario(*BASE.models, incidents=(canary,))), variant=name)
        for name in ("champion", "challenger")
    }
    whole = sums["champion"]["decisions"] + sums["challenger"]["decisions"]
    assert binomtest(sums["challenger"]["decisions"], whole, 0.1).pvalue > 1e-3


def test_a_shadow_decides_once_more_without_effect() -> None:
    shadow = Rollout(start_minute=0, model="m", version="2.0.0", traffic_share=0.5, variant="shadow", stage="shadow")
    batches = log(scenario(*BASE.models, incidents=(shadow,)))
    champion = total(batches, variant="champion")["decisions"]
    assert total(batches, variant="shadow")["decisions"] == pytest.approx(champion / 2, rel=0.03)
    shadows = {one.decision_id for one in decisions(batches) if one.variant == "shadow"}
    assert not shadows & {one.decision_id for one in (*appeals(batches), *reports(batches))}


def test_a_missing_feature_is_null_for_its_share_and_only_that_feature() -> None:
    lost = MissingFeature(start_minute=2, feature="length", share=0.7)
    before, after = halves(log(scenario(*BASE.models, incidents=(lost,)), minutes=4), 2)

    def missing(batches: tuple[MinuteBatch, ...], name: str) -> tuple[int, int]:
        values = [one.features[name] for one in decisions(batches) if one.features is not None]
        return values.count(None), len(values)

    assert missing(before, "length")[0] == 0
    assert binomtest(*missing(after, "length"), 0.7).pvalue > 1e-3
    assert binomtest(*missing(after, "source"), 0.1).pvalue > 1e-3


def test_a_volume_drop_thins_its_region_only() -> None:
    drop = VolumeDrop(start_minute=2, where={"region": "eu"}, factor=0.2)
    plain, thin = (
        halves(log(BASE, minutes=4), 2)[1],
        halves(log(scenario(*BASE.models, incidents=(drop,)), minutes=4), 2)[1],
    )
    assert binomtest(total(thin, region="eu")["decisions"], total(plain, region="eu")["decisions"], 0.2).pvalue > 1e-3
    assert total(plain, region="us") == total(thin, region="us")


def test_a_repost_storm_is_one_actor_with_many_near_copies() -> None:
    storm = RepostStorm(start_minute=2, where={"policy": "spam", "language": "es"}, per_minute=4000, score=0.93)
    batches = halves(log(scenario(*BASE.models, incidents=(storm,)), minutes=4), 2)[1]
    actors = Counter(one.actor_key for one in decisions(batches))
    [(actor, count), (_, second)] = actors.most_common(2)
    assert count > 7000 > 10 * second
    copies = [one for one in decisions(batches) if one.actor_key == actor]
    assert {("spam", "es")} == {(one.policy, one.language) for one in copies}
    assert max(one.score for one in copies) - min(one.score for one in copies) < 0.01
    assert len({one.decision_id for one in copies}) == len(copies)


def test_retried_decisions_are_exact_copies_that_come_later_in_the_same_minute() -> None:
    batches = log(scenario(model(rate=5000), retry_share=0.1))
    distinct = total(batches)["decisions"]
    copies = 0
    for batch in batches:
        seen: dict[bytes, tuple[int, bytes]] = {}
        records = batch.records["moderation.decisions"]
        for at, key, value in zip(records.timestamps.tolist(), records.keys, records.values, strict=True):
            if key in seen:
                copies += 1
                assert seen[key][1] == value
                assert 0 <= at - seen[key][0] <= 5001
            seen[key] = (at, value)
    assert binomtest(copies, distinct, 0.1).pvalue > 1e-3


def test_the_demo_drops_only_where_it_says_and_its_quiet_models_stay_quiet() -> None:
    batches = log(demo(decisions_per_minute=20_000, incident_minute=2), minutes=4)
    before, after = batches[:2], batches[2:4]
    drop = precision(total(before, model="text-guard", language="es")) - precision(
        total(after, model="text-guard", language="es")
    )
    assert drop > 0.35
    for name in ("image-guard", "voice-guard", "post-fusion"):
        change = precision(total(before, model=name)) - precision(total(after, model=name))
        assert abs(change) < 0.06


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_built_in_scenarios_cover_the_modalities_and_start_precise(name: str) -> None:
    what = BUILT_IN[name]()
    assert {"text", "image", "audio", "video", "multimodal"} == {one.modality for one in what.models}
    assert {"en", "es", "pt", "de", "ja", "ar"} <= {language for one in what.models for language in one.languages}
    batches = log(what, minutes=3)
    for one in what.models:
        assert precision(total(batches, model=one.name)) > 0.85
