"""The text formats, against the parsers of prometheus_client and promtool."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

from monitor import catalogue
from monitor.catalogue import Kind, Metric
from monitor.export import families
from monitor.exposition import Family, HistogramSamples, Labels, Renderer, Samples, TextFormat
from tests.snapshots import build_snapshot

GAUGE = Metric("moderation_example_ratio", Kind.GAUGE, ("model", "window"), 'Back\\slash, "quotes" and\na new line.')
COUNTER = Metric("moderation_example_total", Kind.COUNTER, ("model",), "Events.")
HISTOGRAM = Metric("moderation_example_seconds", Kind.HISTOGRAM, ("model",), "Latency.")
ABUSE = [
    "",
    'quote " backslash \\ newline \n return \r tab \t',
    "control \x00\x01\x07\x1b\x7f\x85\u2028",
    "right to left \u202eevil\u202c",
    "lone surrogates \ud800 \udfff",
    "emoji \U0001f9ea",
    "__name__",
    'x"} 1\n# EOF\ninjected{a="b',
    "k" * 10_240,
]

Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def values(parse: Callable[[str], Iterable[object]], text: str) -> Values:
    """All samples of an exposition by name and labels; fails when one is there twice."""
    found: Values = {}
    for family in parse(text):
        for sample in family.samples:  # type: ignore[attr-defined]
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def both(found: Iterable[Family]) -> tuple[Values, Values]:
    """The samples of both formats, read by the parser of each."""
    found = list(found)
    renderer = Renderer(process_metrics=False)
    plain = renderer.render(found).decode()
    open_metrics = renderer.render(found, TextFormat.OPENMETRICS).decode()
    return values(parse_prometheus, plain), values(parse_openmetrics, open_metrics)


def example() -> list[Family]:
    """One family of each kind."""
    keys = [("a",), ("b",)]
    return [
        Family(
            GAUGE, [Samples(keys, np.array([0.25, math.nan]), ("1h",)), Samples(keys, np.array([7.0]), ("5m",), [1])]
        ),
        Family(COUNTER, [Samples(keys, np.array([2**60, 0]))]),
        Family(
            HISTOGRAM, [HistogramSamples(keys, (0.1, 1.0), np.array([[1, 2, 3], [0, 0, 4]]), np.array([9.5, 40.0]))]
        ),
        Family(catalogue.CLOCK, [Samples([()], np.array([1_790_000_000.125]))]),
        Family(catalogue.LAG, []),
    ]


def test_prometheus_text_is_as_the_format_describes_it() -> None:
    expected = r"""# HELP moderation_example_ratio Back\\slash, "quotes" and\na new line.
# TYPE moderation_example_ratio gauge
moderation_example_ratio{model="a",window="1h"} 0.25
moderation_example_ratio{model="b",window="1h"} NaN
moderation_example_ratio{model="b",window="5m"} 7.0
# HELP moderation_example_total Events.
# TYPE moderation_example_total counter
moderation_example_total{model="a"} 1152921504606846976
moderation_example_total{model="b"} 0
# HELP moderation_example_seconds Latency.
# TYPE moderation_example_seconds histogram
moderation_example_seconds_bucket{model="a",le="0.1"} 1
moderation_example_seconds_bucket{model="a",le="1.0"} 3
moderation_example_seconds_bucket{model="a",le="+Inf"} 6
moderation_example_seconds_sum{model="a"} 9.5
moderation_example_seconds_count{model="a"} 6
moderation_example_seconds_bucket{model="b",le="0.1"} 0
moderation_example_seconds_bucket{model="b",le="1.0"} 0
moderation_example_seconds_bucket{model="b",le="+Inf"} 4
moderation_example_seconds_sum{model="b"} 40.0
moderation_example_seconds_count{model="b"} 4
# HELP monitor_clock_timestamp_seconds Event time at which the readings were taken.
# TYPE monitor_clock_timestamp_seconds gauge
monitor_clock_timestamp_seconds 1790000000.125
"""
    assert expected == Renderer(process_metrics=False).render(example()).decode()


def test_openmetrics_names_a_counter_without_its_suffix_and_ends_with_eof() -> None:
    lines = Renderer(process_metrics=False).render(example(), TextFormat.OPENMETRICS).decode().splitlines()
    assert r"# HELP moderation_example_ratio Back\\slash, \"quotes\" and\na new line." == lines[0]
    assert "# TYPE moderation_example counter" in lines
    assert 'moderation_example_total{model="b"} 0' in lines
    assert "# EOF" == lines[-1]
    assert not any("_created" in line for line in lines)


def test_both_formats_say_the_same_of_a_full_snapshot() -> None:
    plain, open_metrics = both(families(build_snapshot(), version="1", config_fingerprint="abc"))
    assert len(plain) > 4000
    assert plain == open_metrics


def test_infinities_and_nan_are_spelled_as_both_formats_want() -> None:
    numbers = [math.inf, -math.inf, math.nan, -0.0, 5e-324, 1.7976931348623157e308, 1e16, 1e-7]
    keys = [(str(number),) for number in range(len(numbers))]
    metric = Metric("moderation_example", Kind.GAUGE, ("model",), "Any.")
    plain, open_metrics = both([Family(metric, [Samples(keys, np.array(numbers))])])
    assert repr(numbers) == repr(list(plain.values())) == repr(list(open_metrics.values()))


@given(st.lists(st.floats(), min_size=1, max_size=30), st.lists(st.integers(-(2**62), 2**62), max_size=5))
def test_every_number_reads_back_as_itself(floats: list[float], integers: list[int]) -> None:
    parts = [Samples([(f"f{n}",) for n in range(len(floats))], np.array(floats))]
    parts.append(Samples([(f"i{n}",) for n in range(len(integers))], np.array(integers, dtype=np.int64)))
    metric = Metric("moderation_example", Kind.GAUGE, ("model",), "Any.")
    plain, _ = both([Family(metric, parts)])
    assert repr([*floats, *map(float, integers)]) == repr([float(value) for value in plain.values()])


def test_abused_label_values_survive_and_stay_apart() -> None:
    shown = [value.encode("utf-8", "backslashreplace").decode() for value in ABUSE]
    found = [Family(COUNTER, [Samples([(value,) for value in ABUSE], np.arange(len(ABUSE)))])]
    expected = {("moderation_example_total", (("model", value),)): float(n) for n, value in enumerate(shown)}
    assert (expected, expected) == both(found)


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), unique=True, min_size=1, max_size=10))
def test_any_text_is_escaped_so_that_it_reads_back(texts: list[str]) -> None:
    found = [Family(COUNTER, [Samples([(text,) for text in texts], np.ones(len(texts), dtype=np.int64))])]
    expected = {("moderation_example_total", (("model", text),)) for text in texts}
    plain, open_metrics = both(found)
    assert expected == set(plain) == set(open_metrics)


@pytest.mark.parametrize(
    "samples",
    [
        Samples([("a",)], np.array([1.0])),
        Samples([("a", "b")], np.array([1.0]), ("1h",)),
        Samples([("a",), ("b",)], np.array([1.0]), ("1h",)),
    ],
)
def test_samples_that_do_not_fit_the_labels_are_refused(samples: Samples) -> None:
    with pytest.raises(ValueError, match="moderation_example_ratio"):
        Renderer().render([Family(GAUGE, [samples])])


def test_a_histogram_with_other_bins_than_edges_is_refused() -> None:
    samples = HistogramSamples([("a",)], (0.1, 1.0), np.array([[1, 2]]), np.array([1.0]))
    with pytest.raises(ValueError, match="3 bins"):
        Renderer().render([Family(HISTOGRAM, [samples])])


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.sampled_from([("1h",), ("5m",)]), st.lists(st.integers(0, 4), unique=True, max_size=5)
        ),
        max_size=8,
    )
)
def test_a_renderer_says_the_same_whatever_it_rendered_before(turns: list[tuple[int, Labels, list[int]]]) -> None:
    renderer = Renderer(process_metrics=False)
    shared: list[Sequence[Labels]] = [tuple((f"{name}{number}",) for number in range(5)) for name in "abc"]
    changing = [("d0",), ("d1",), ("d2",), ("d3",), ("d4",)]
    for turn, (which, tail, rows) in enumerate(turns):
        changing[turn % 5] = (f"d-{turn}",)
        keys = [*shared, changing][which]
        found = [
            Family(GAUGE, [Samples(keys, np.arange(len(rows)) / 7, tail, rows)]),
            Family(HISTOGRAM, [HistogramSamples(keys, (0.5,), np.full((5, 2), turn), np.ones(5))]),
        ]
        assert Renderer(process_metrics=False).render(found) == renderer.render(found)


def test_what_the_renderer_remembers_is_bounded_and_changes_nothing() -> None:
    renderer, fresh = Renderer(process_metrics=False, max_keys=10), Renderer(process_metrics=False)
    for start in range(0, 500, 50):
        keys = [(str(number),) for number in range(start, start + 50)]
        found = [Family(COUNTER, [Samples(keys, np.arange(50))])]
        assert fresh.render(found) == renderer.render(found)
    assert len(renderer._texts) <= 10 + 50 + 1
    for start in range(3):
        renderer.render([Family(COUNTER, [Samples(((str(start),),), np.arange(1))])])
    assert 1 == len(renderer._beginnings)


@pytest.mark.parametrize("text_format", list(TextFormat))
def test_process_metrics_follow_in_the_same_format(text_format: TextFormat) -> None:
    text = Renderer().render(example(), text_format).decode()
    parse = parse_openmetrics if text_format is TextFormat.OPENMETRICS else parse_prometheus
    names = {name for name, _ in values(parse, text)}
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "python_info"} <= names
    assert 1 == text.count("# EOF") or text_format is TextFormat.PROMETHEUS


@pytest.mark.prometheus
@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on the PATH")
def test_promtool_finds_nothing_to_say_of_a_full_exposition_nor_of_abuse() -> None:
    abuse = Family(COUNTER, [Samples([(value,) for value in ABUSE], np.arange(len(ABUSE)))])
    full = families(build_snapshot(), version="1", config_fingerprint="abc")
    text = Renderer().render([*full, abuse])
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (0, b"", b"") == (done.returncode, done.stdout, done.stderr)
