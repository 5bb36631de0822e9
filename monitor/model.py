"""One watched model: its ledger, its streaming detectors, and their copy for the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from monitor.blocks import ModelBlock
from monitor.bounds import DRIFT_THRESHOLDS
from monitor.cohorts import Level
from monitor.layout import ACTIONS, LATENCY_UNIT, REVIEW_KINDS, SCORE_UNIT, STAGES, Layout, wide
from monitor.ledger import LedgerSettings, ModelLedger
from monitor.readings import Watched
from monitor.reference import Baseline
from monitor.snapshot import Counters, Histogram, ModelSnapshot, ReadingColumn
from monitor.streams import StreamDetectors, StreamSettings

Ints = npt.NDArray[np.int64]

EXPORTED_SCORE_STEP = 0.05


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What evaluation depends on besides the blocks."""

    ledger: LedgerSettings
    streams: StreamSettings
    baselines: Mapping[str, Baseline] = field(default_factory=dict)
    drift_thresholds: Mapping[str, float] = field(default_factory=lambda: DRIFT_THRESHOLDS)
    score_thresholds: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """decision thresholds by model, exported as edges of the score histogram"""
    grace_minutes: int = 1
    """how long after its end a minute is shown to the streaming detectors"""


class Model:
    """Folds the blocks of one model and reads off what they say."""

    def __init__(self, name: str, settings: ModelSettings) -> None:
        self.name = name
        self.settings = settings
        self.ledger = ModelLedger(name, settings.ledger)
        self.streams = StreamDetectors(settings.streams)

    def fold(self, block: ModelBlock, *, clock_ms: int | None = None) -> bool:
        """Take a block; False if nothing of it is new. No time of it beyond `clock_ms` is believed."""
        return self.ledger.fold(block, clock_ms=clock_ms)

    def advance(self, minute: int, *, complete: int) -> None:
        """Move the clock to `minute`; minutes before `complete` have all their records, as far as is known."""
        ledger, streams = self.ledger, self.streams
        limit = min(minute, complete) - self.settings.grace_minutes
        decided = ledger.cohorts.minutes()
        none = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
        for closing in sorted({m for m in decided | set(ledger.arrivals) if streams.next_minute <= m < limit}):
            arrived = ledger.arrivals.get(closing)
            streams.close(
                closing,
                rows=len(ledger.table.series),
                layout=ledger.layout,
                decisions=ledger.cohorts.cohort(Level.MINUTE, closing) or none,
                labels=none if arrived is None else arrived.items(),
            )
        streams.next_minute = max(streams.next_minute, limit)
        ledger.forget_arrivals(streams.next_minute)
        ledger.advance(minute)

    def watched(self) -> Watched:
        """What its readings are computed from."""
        return Watched(self.ledger, self.settings.baselines.get(self.name), self.settings.drift_thresholds)

    def snapshot(self, readings: tuple[ReadingColumn, ...]) -> ModelSnapshot:
        """An immutable copy of everything that is said of the model, `readings` of now included."""
        ledger, layout = self.ledger, self.ledger.layout
        totals = ledger.totals
        last = ledger.last_decision_ms
        return ModelSnapshot(
            model=self.name,
            series=ledger.table.told(),
            readings=readings,
            decisions=_counters(totals[:, layout.actions.columns], [(action.value,) for action in ACTIONS]),
            reviews=_counters(
                totals[:, layout.reviews.columns], [(source.value, verdict.value) for source, verdict in REVIEW_KINDS]
            ),
            appeals=_counters(totals[:, layout.appeals.columns], [(stage.value,) for stage in STAGES]),
            reports=_counters(totals[:, layout.reports.columns], [()]),
            score=self._score_histogram(totals, layout),
            latency=Histogram(
                edges=tuple(layout.latency_edges.tolist()),
                counts=totals[:, layout.latency.columns].copy(),
                total=totals[:, layout.latency_sum.start].astype(np.float64) * LATENCY_UNIT,
            ),
            detections=self.streams.detections(),
            launches=tuple(ledger.launches[key] for key in sorted(ledger.launches)),
            last_decision_at=None if last is None else last / 1000.0,
            full=ledger.table.full,
        )

    def _score_histogram(self, totals: Ints, layout: Layout) -> Histogram:
        """The score bins, joined to steps of 0.05 and the model's thresholds."""
        edges = layout.score_edges
        thresholds = self.settings.score_thresholds.get(self.name, ())
        steps = np.abs(edges / EXPORTED_SCORE_STEP - np.rint(edges / EXPORTED_SCORE_STEP)) < 1e-9
        exported = edges[steps | np.isin(edges, np.asarray(thresholds))]
        firsts = np.r_[0, np.searchsorted(edges, exported) + 1]
        return Histogram(
            edges=tuple(exported.tolist()),
            counts=np.add.reduceat(totals[:, layout.score.columns], firsts, axis=1),
            total=wide(totals[:, layout.score_sum.columns], SCORE_UNIT)[:, 0],
        )


def _counters(values: Ints, labels: list[tuple[str, ...]]) -> Counters:
    return Counters(labels=tuple(labels), values=values.copy())
