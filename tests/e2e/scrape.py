"""One answer of `/metrics`, parsed; counters by the values of their labels, so that tests compare with plain dicts.

A label set that is 0 and one that is absent look alike in `counted`: which combinations start at 0 is tested elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from monitor.catalogue import Metric

Values = tuple[str, ...]


@dataclass(frozen=True)
class Scrape:
    """A whole exposition in the text format 0.0.4."""

    text: str

    @cached_property
    def samples(self) -> dict[str, list[tuple[dict[str, str], float]]]:
        """(labels, value) of all samples by name; a text that does not parse raises ValueError."""
        found: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in parse_text(self.text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
        return found

    def only(self, *metrics: Metric) -> Scrape:
        """The lines of some metrics: the whole text takes seconds to parse when there are many series."""
        names = tuple(metric.name for metric in metrics)
        return Scrape("".join(f"{line}\n" for line in self.text.splitlines() if line.startswith(names)))

    def matching(self, name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        """Samples of this name that carry these labels."""
        return [
            (own, value)
            for own, value in self.samples.get(str(name), [])
            if all(own.get(label) == wanted for label, wanted in labels.items())
        ]

    def total(self, name: Metric | str, **labels: str) -> float:
        """Sum of the matching samples; 0 when there is none."""
        return sum(value for _, value in self.matching(str(name), **labels))

    def one(self, name: Metric | str, **labels: str) -> float:
        """The only matching sample. AssertionError when there is none, or more than one."""
        found = self.matching(str(name), **labels)
        assert 1 == len(found), f"{name} {labels}: {len(found)} samples"
        return found[0][1]

    def by_labels(self, metric: Metric, *, suffix: str = "", extra: Iterable[str] = ()) -> dict[Values, float]:
        """Value of each sample by its label values, in the order of the catalogue (then `extra`, such as `le`)."""
        names = (*metric.labels, *extra)
        return {
            tuple(labels[name] for name in names): value
            for labels, value in self.samples.get(f"{metric.name}{suffix}", [])
        }

    def counted(self, metric: Metric, *, suffix: str = "", extra: Iterable[str] = ()) -> dict[Values, float]:
        """`by_labels` without zeros."""
        return nonzero(self.by_labels(metric, suffix=suffix, extra=extra))


def nonzero(counts: Mapping[Values, float] | Counter[Values]) -> dict[Values, float]:
    """What is not zero."""
    return {labels: float(value) for labels, value in counts.items() if value}


def difference(expected: Mapping[Values, float], actual: Mapping[Values, float], *, shown: int = 20) -> list[str]:
    """What differs, a line each and at most `shown` lines: two dicts of thousands of entries say too much."""
    keys = sorted(expected.keys() | actual.keys())
    wrong = [key for key in keys if expected.get(key) != actual.get(key)]
    return [f"{key}: expected {expected.get(key)}, got {actual.get(key)}" for key in wrong[:shown]]


def require_openmetrics(text: str) -> None:
    """Raises ValueError when a text is not valid OpenMetrics 1.0."""
    for family in parse_openmetrics(text):  # type: ignore[no-untyped-call]
        assert family.name
