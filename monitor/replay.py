"""Replay: logs of events to readings and metrics, through the same pure steps as a worker, in event time.

Time advances by the minute: all records up to the end of a minute are taken, then everything is read off. Minutes
without records are jumped over, and nothing but the logs and the configuration decides a byte of the output. Windows
end where the sources' own clock stands (`PartitionEvaluator.clock_ms`): in sparse traffic that lags behind the tick.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from monitor.assembly import assemble
from monitor.event_log import EventLog
from monitor.export import families
from monitor.exposition import Renderer
from monitor.offline import OfflinePipeline
from monitor.outputs import Outputs
from monitor.replay_output import DEAD_LETTERS, METRICS, READINGS, DeadLetterWriter, ReadingWriter
from monitor.settings import Settings
from monitor.snapshot import Snapshot
from monitor.summarise import MINUTE_MS
from monitor.ticks import Tick, ticks


@dataclass(slots=True)
class Replayed:
    """What a replay has done so far."""

    records: dict[str, int] = field(default_factory=dict)
    """by topic"""
    ticks: int = 0
    readings: int = 0
    dead_letters: int = 0
    at_ms: int | None = None
    """Event time of the latest tick."""
    snapshot: Snapshot | None = None
    """What was read off last."""


def replay(
    logs: Sequence[EventLog],
    settings: Settings,
    output: Path,
    *,
    version: str,
    every_minutes: int = 1,
    force: bool = False,
    on_tick: Callable[[Replayed], None] | None = None,
) -> Replayed:
    """Write `readings.jsonl`, `metrics.prom` and `dead_letters.jsonl` into `output` (made if need be).

    Readings are those of the ticks at multiples of `every_minutes` and of the last tick, metrics those of the last.
    `version` is exported as the build's. Files get their names when all of them are complete.

    Raises FileExistsError if one of them is there already (unless `force`), UnreadableLog, InvalidReference.
    """
    stages = assemble(settings)
    pipeline = OfflinePipeline(stages)
    done = Replayed()
    with Outputs(output, (READINGS, METRICS, DEAD_LETTERS), force=force) as files:
        readings, dead_letters = ReadingWriter(files[READINGS]), DeadLetterWriter(files[DEAD_LETTERS])
        for tick in ticks(logs):
            _take(tick, pipeline, dead_letters, done)
            if tick.last or tick.end_ms % (every_minutes * MINUTE_MS) == 0:
                done.snapshot = pipeline.tick()
                done.readings += readings.write(tick.end_ms, done.snapshot)
            else:
                pipeline.advance()
            if on_tick is not None:
                on_tick(done)
        if done.snapshot is None:
            done.snapshot = pipeline.tick()
        exported = families(done.snapshot, version=version, config_fingerprint=stages.fingerprint)
        files[METRICS].write(Renderer(process_metrics=False).render(exported))
    return done


def _take(tick: Tick, pipeline: OfflinePipeline, dead_letters: DeadLetterWriter, done: Replayed) -> None:
    for log, batch in tick.parts:
        topic = log.source.topic
        refused = pipeline.feed(
            log.source,
            log.partition,
            batch.offsets,
            batch.timestamps,
            batch.values,
            next_offset=batch.next_offset,
            now_ms=tick.end_ms,
        )
        dead_letters.write(topic, log.partition, refused)
        done.records[topic] = done.records.get(topic, 0) + len(batch)
        done.dead_letters += len(refused)
    pipeline.publish_open(now_ms=tick.end_ms)
    done.ticks, done.at_ms = done.ticks + 1, tick.end_ms
