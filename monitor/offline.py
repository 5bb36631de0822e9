"""The same pure steps as a worker's, in one process and without Kafka: for replays, references and batch comparisons.

Nothing happens by itself: open blocks count once `publish_open` was called, readings move with `tick`. `now_ms` is the
time of whoever reads, such as the minute that a replay has come to: what lies far beyond it moves no window
(`evaluate.is_ahead`); None believes every clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from monitor.assembly import Pipeline
from monitor.blocks import BlockMessage
from monitor.evaluate import PartitionEvaluator, take_snapshot
from monitor.join.forwarding import Forward, chunks, timestamps_of
from monitor.join.index import MemoryIndex
from monitor.join.joiner import JoinPartition
from monitor.model import Model
from monitor.open_block import DeadLetter
from monitor.partition import PartitionSummariser
from monitor.shared_keys import SharedKeys
from monitor.snapshot import ServiceSnapshot, Snapshot
from monitor.topics import BY_TOPIC, SourceTopic


class OfflinePipeline:
    """One summariser for each source partition, and one evaluator for all models.

    However the records of a partition are split into calls of `feed`, the numbers are the same.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._summarisers: dict[tuple[str, int], PartitionSummariser] = {}
        self._keys = {topic: SharedKeys(pipeline.summarise) for topic in BY_TOPIC}
        self._evaluator = PartitionEvaluator(pipeline.evaluate)
        self._joiner = None if pipeline.join is None else JoinPartition(0, MemoryIndex(), settings=pipeline.join)
        self._joined = 0

    @property
    def clock_ms(self) -> int | None:
        """Kafka time that the sources have reached; None before the first block."""
        return self._evaluator.clock_ms

    def feed(
        self,
        source: SourceTopic,
        partition: int,
        offsets: Sequence[int],
        timestamps: Sequence[int],
        values: Sequence[bytes | None],
        *,
        next_offset: int,
        now_ms: int | None = None,
    ) -> list[DeadLetter]:
        """Take records of one partition in order of offset; returns those that are refused.

        `timestamps` are Kafka's, in ms; `next_offset` is where the log goes on, beyond gaps. A partition may begin at
        any offset: what lies before the first call is not part of the log.
        """
        summariser = self._summarisers.get((source.topic, partition))
        if summariser is None:
            summariser = self._summarisers[source.topic, partition] = PartitionSummariser(
                source,
                partition,
                summarise_from=0,
                log_start=0,
                settings=self._pipeline.summarise,
                keys=self._keys[source.topic],
            )
        refused, closed = summariser.feed(offsets, timestamps, values, next_offset=next_offset)
        self._fold(closed, now_ms)
        self._join(summariser.take_forwards(), now_ms)
        return refused

    def _fold(self, messages: Iterable[BlockMessage], now_ms: int | None) -> None:
        for message in messages:
            self._evaluator.fold(message, now_ms=now_ms)

    def _join(self, forwards: Sequence[Forward], now_ms: int | None) -> None:
        """What a join topic of one partition would bring: feedback meets its decision in the order of `feed`."""
        if self._joiner is None or not forwards:
            return
        # A record for each, with its own time: nothing may depend on the calls of `feed`.
        values = [value for _, value in chunks(forwards, partitions=1, at_most=1)]
        offsets = range(self._joined, self._joined + len(values))
        self._joined = offsets.stop
        times = timestamps_of(forwards)
        self._fold(self._joiner.feed(offsets, times, values, next_offset=offsets.stop), now_ms)
        self._joiner.commit(self._joiner.told)

    def publish_open(self, *, now_ms: int | None = None) -> None:
        """Let everything count that was fed, blocks that have not ended included."""
        for summariser in self._summarisers.values():
            self._fold(summariser.open_block(), now_ms)
        if self._joiner is not None:
            self._fold(self._joiner.open_block(), now_ms)

    def advance(self) -> None:
        """Move windows and detectors to where the sources have come, without reading anything off."""
        self._evaluator.advance()

    def tick(self) -> Snapshot:
        """Move to where the sources have come and read everything off; has no time of its own (`taken_at` None)."""
        self.advance()
        return take_snapshot(
            [self._evaluator],
            objectives=self._pipeline.objectives,
            service=ServiceSnapshot(),
            taken_at=None,
            ready=True,
            reason="",
        )

    def models(self) -> Iterable[Model]:
        """The models met so far, by name."""
        return self._evaluator.models()
