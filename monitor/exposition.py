"""The Prometheus text format 0.0.4 and OpenMetrics 1.0: families in, bytes out. No other module knows these formats.

Numbers are spelled by msgspec's JSON encoder, one call a family: the shortest text that reads back as the same double,
five times as fast as `repr`. JSON has no NaN and no infinity, so a family that holds one takes the slow way. What
stands before them is kept as bytes, and both are copied into the exposition at once.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.utils import floatToGoString

from monitor.catalogue import Kind, Metric
from monitor.exposition_lines_plain import Block, Ints, Written

try:
    from monitor.exposition_lines import fill
except ImportError:
    from monitor.exposition_lines_plain import fill

Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]
Labels = tuple[str, ...]


class TextFormat(Enum):
    """A text format. The value is its content type."""

    PROMETHEUS = CONTENT_TYPE_PLAIN_0_0_4
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of a counter or gauge that share their last label values.

    `keys` holds the leading label values and `tail` the values of the labels that follow. `values` has one number a
    key, or one for each index in `rows` where only these keys have a sample.
    """

    keys: Sequence[Labels]
    values: Numbers
    tail: Labels = ()
    rows: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class HistogramSamples:
    """Histograms over the same bins.

    `edges` are the finite upper bounds; `counts` has shape (keys, edges + 1) and is not cumulative; `total` holds the
    sum of the observations of each key.
    """

    keys: Sequence[Labels]
    edges: tuple[float, ...]
    counts: npt.NDArray[np.int64]
    total: Numbers


@dataclass(frozen=True, slots=True)
class Family:
    """A metric and all of its samples: `HistogramSamples` for a histogram, `Samples` for the other kinds."""

    metric: Metric
    samples: Sequence[Samples | HistogramSamples]


class Renderer:
    """Renders families; may be used by several threads at once.

    Remembers escaped label values between calls, and of keys that come as one and the same tuple again the beginnings
    of their lines, as long as each rendering has them. `process_metrics` appends `process_*` and `python_info`. More
    than `max_keys` remembered label values (about 300 bytes each) are forgotten together.
    """

    def __init__(self, *, process_metrics: bool = True, max_keys: int = 100_000) -> None:
        self._texts: dict[tuple[Labels, Labels], str] = {}
        self._beginnings: dict[int, _Beginnings] = {}
        self._max_keys = max_keys
        self._process = _process_registry() if process_metrics else None

    def render(self, families: Iterable[Family], text_format: TextFormat = TextFormat.PROMETHEUS) -> bytes:
        """A complete exposition. Families without samples are left out.

        Raises ValueError when a sample has not as many label values as its metric has labels.
        """
        if len(self._texts) > self._max_keys:
            self._texts = {}
        open_metrics = text_format is TextFormat.OPENMETRICS
        scrape = _Scrape(self._texts, self._beginnings)
        written: list[Written] = []
        for family in families:
            blocks, numbers = scrape.lines(family)
            if blocks:
                written.append((_head(family.metric, open_metrics=open_metrics).encode(), blocks, numbers))
        self._beginnings = scrape.kept()
        process = b"" if self._process is None else _process_text(self._process, open_metrics=open_metrics)
        return fill(written, process + _END if open_metrics else process)


@dataclass(frozen=True, slots=True)
class _Lines:
    """What stands before the value in some lines: their text, and where each of them ends in it."""

    text: bytes
    ends: Ints

    @classmethod
    def of(cls, lines: Iterable[str]) -> _Lines:
        encoded = [line.encode() for line in lines]
        return cls(b"".join(encoded), np.cumsum([len(line) for line in encoded], dtype=np.int64))


class _Beginnings:
    """Of one sequence of keys: their escaped labels, and what stands before the value in each of their lines."""

    __slots__ = ("keys", "labels", "lines")

    def __init__(self, keys: Sequence[Labels]) -> None:
        self.keys = keys  # held, so that no other sequence can get its id
        self.labels: dict[Labels, list[str]] = {}
        """by names of the labels, one a key"""
        self.lines: dict[Hashable, _Lines] = {}
        """by metric and what follows the keys' labels"""


class _Scrape:
    """One rendering. Most samples of a model share one sequence of keys, which is looked up once."""

    def __init__(self, texts: dict[tuple[Labels, Labels], str], before: Mapping[int, _Beginnings]) -> None:
        self._texts = texts
        self._before = before
        self._seen: dict[int, _Beginnings] = {}

    def kept(self) -> dict[int, _Beginnings]:
        """What the next rendering may find again: a list could hold other keys by then."""
        return {number: found for number, found in self._seen.items() if type(found.keys) is tuple}

    def lines(self, family: Family) -> tuple[list[Block], bytes]:
        """The lines of a family, each from its line break up to its number, and the numbers as one JSON array."""
        blocks: list[Block] = []
        values: list[float] = []
        for samples in family.samples:
            if isinstance(samples, HistogramSamples):
                self._histogram(family.metric, samples, blocks, values)
            else:
                self._plain(family.metric, samples, blocks, values)
        return (blocks, _spell(values)) if values else ([], b"[]")

    def _plain(self, metric: Metric, samples: Samples, blocks: list[Block], values: list[float]) -> None:
        known = self._beginnings(samples.keys)
        lines = known.lines.get((metric.name, samples.tail))
        if lines is None:
            leading = len(metric.labels) - len(samples.tail)
            tail = self._text(metric, metric.labels[leading:], samples.tail)
            opened = f"\n{metric.name}{{" if metric.labels else f"\n{metric.name}"
            closed = _close(tail, after=leading) if metric.labels else " "
            lines = _Lines.of(f"{opened}{key}{closed}" for key in self._labels(metric, known, leading))
            known.lines[metric.name, samples.tail] = lines
        rows = None if samples.rows is None else np.asarray(samples.rows, dtype=np.int64)
        count = len(lines.ends if rows is None else rows)
        if count != len(samples.values):
            raise ValueError(f"{metric.name}: {count} keys, but {len(samples.values)} values")
        blocks.append((lines.text, lines.ends, rows))
        values += samples.values.tolist()

    def _histogram(self, metric: Metric, samples: HistogramSamples, blocks: list[Block], values: list[float]) -> None:
        known = self._beginnings(samples.keys)
        bins = len(samples.edges) + 1
        if samples.counts.shape != (len(samples.keys), bins) or len(samples.total) != len(samples.keys):
            raise ValueError(
                f"{metric.name}: counts of shape {samples.counts.shape} and {len(samples.total)} sums, but "
                f"{len(samples.keys)} keys and {bins} bins"
            )
        lines = known.lines.get((metric.name, samples.edges))
        if lines is None:
            lines = _Lines.of(self._histogram_lines(metric, samples.edges, known))
            known.lines[metric.name, samples.edges] = lines
        cumulative = np.cumsum(samples.counts, axis=1)
        per_key = bins + 2
        numbers: list[float] = [0] * (per_key * len(samples.keys))
        for column in range(bins):
            numbers[column::per_key] = cumulative[:, column].tolist()
        numbers[bins::per_key] = samples.total.tolist()
        numbers[bins + 1 :: per_key] = cumulative[:, -1].tolist()
        blocks.append((lines.text, lines.ends, None))
        values += numbers

    def _histogram_lines(self, metric: Metric, edges: tuple[float, ...], known: _Beginnings) -> list[str]:
        name, after = metric.name, len(metric.labels)
        bounds = [_close(f'le="{_bound(edge)}"', after=after) for edge in (*edges, math.inf)]
        opened, closed = ("{", "} ") if metric.labels else ("", " ")
        lines = []
        for key in self._labels(metric, known, after):
            lines += [f"\n{name}_bucket{{{key}{bound}" for bound in bounds]
            lines += [f"\n{name}_{part}{opened}{key}{closed}" for part in ("sum", "count")]
        return lines

    def _beginnings(self, keys: Sequence[Labels]) -> _Beginnings:
        found = self._seen.get(id(keys))
        if found is None:
            found = self._before.get(id(keys))
            if found is None or found.keys is not keys:
                found = _Beginnings(keys)
            self._seen[id(keys)] = found
        return found

    def _labels(self, metric: Metric, known: _Beginnings, leading: int) -> list[str]:
        names = metric.labels[:leading]
        if names not in known.labels:
            known.labels[names] = [self._text(metric, names, key) for key in known.keys]
        return known.labels[names]

    def _text(self, metric: Metric, names: Labels, values: Labels) -> str:
        text = self._texts.get((names, values))
        if text is None:
            if len(names) != len(values):
                raise ValueError(f"{metric.name}: label values {values} for the labels {names}")
            text = self._texts[names, values] = _pairs(names, values)
        return text


_END: Final = b"# EOF\n"
_SPELL: Final = msgspec.json.Encoder()


def _spell(values: list[float]) -> bytes:
    text = _SPELL.encode(values)
    if b"null" in text:
        return f"[{','.join(map(_spell_one, values))}]".encode()
    return text


def _spell_one(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def _head(metric: Metric, *, open_metrics: bool) -> str:
    name, text = metric.name, metric.help.replace("\\", "\\\\").replace("\n", "\\n")
    if open_metrics:
        text = text.replace('"', '\\"')
        if metric.kind is Kind.COUNTER:
            name = name.removesuffix("_total")
    return f"# HELP {name} {_encodable(text)}\n# TYPE {name} {metric.kind.value}"


def _pairs(names: Labels, values: Labels) -> str:
    return ",".join(f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))


def _close(tail: str, *, after: int) -> str:
    return f",{tail}}} " if tail and after else f"{tail}}} "


def _escape(value: str) -> str:
    return _encodable(value).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _bound(edge: float) -> str:
    text: str = floatToGoString(edge)  # type: ignore[no-untyped-call]
    return text


def _encodable(text: str) -> str:
    """Lone surrogates, which UTF-8 cannot hold, become their escape `\\udXXX`: different texts stay different."""
    return text.encode("utf-8", "backslashreplace").decode()


def _process_registry() -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


def _process_text(registry: CollectorRegistry, *, open_metrics: bool) -> bytes:
    if open_metrics:
        text: bytes = generate_openmetrics(registry)  # type: ignore[no-untyped-call]
        return text.removesuffix(_END)
    return generate_latest(registry)
