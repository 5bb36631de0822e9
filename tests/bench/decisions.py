"""Decisions as a platform publishes them, some 410 bytes of JSON each, and their way to Kafka.

Five models on four policies each, unless told otherwise; a model has one modality. Languages and regions are drawn with
weights 1/rank, so that a block meets common and rare cells. By policy that makes 1 + 14 languages + 9 regions + 1
modality = 25 series, 500 in all. Ids are as random as UUIDs; times lie just before Kafka's own timestamps.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import accumulate, product
from typing import Final

from confluent_kafka import KafkaError, Producer

from monitor.topics import DECISIONS, SourceTopic

MODELS: Final = (
    ("text-toxicity", "text"),
    ("image-nudity", "image"),
    ("video-violence", "video"),
    ("audio-speech", "audio"),
    ("listing-fraud", "multimodal"),
    ("comment-spam", "text"),
    ("avatar-safety", "image"),
    ("stream-safety", "video"),
    ("voice-chat", "audio"),
    ("ad-review", "multimodal"),
)
POLICIES: Final = ("hate_speech", "harassment", "sexual_content", "dangerous_goods", "spam", "self_harm")
LANGUAGES: Final = ("en", "es", "pt", "hi", "ar", "id", "de", "fr", "ja", "tr", "ru", "vi", "th", "pl")
REGIONS: Final = ("us", "eu", "br", "in", "mena", "sea", "jp", "latam", "africa")
SURFACES: Final = ("feed", "comments", "messages")
SERIES_A_POLICY: Final = 1 + len(LANGUAGES) + len(REGIONS) + 1
ACTED: Final = ("remove", "restrict", "label", "age_gate")
SAMPLED: Final = ',"sampled":true,"inclusion_probability":0.05,"design_id":"audit-2026w47"'
SAMPLED_MARK: Final = b'"sampled":true'
VARIETY: Final = 32_768
"""Decisions but for their id and time are made once and drawn from: making each anew is slower than reading it."""
TIMES_HOLD_MS: Final = 100
"""A small batch would take longer to write its times than to write its decisions: they are kept for so long."""
FLUSHED_WITHIN: Final = 120.0
POLL_EVERY: Final = 5000


class Decisions:
    """An endless supply of decisions. `acted_share` of them were acted on; one in ten of those is sampled for review.

    `model` replaces the names of all models, so that single decisions can be told from the others. With `features`
    each carries a numeric and a categorical one.
    """

    def __init__(
        self,
        *,
        models: int = 5,
        policies: int = 4,
        acted_share: float = 0.05,
        features: bool = False,
        model: str | None = None,
        seed: int = 1,
    ) -> None:
        self.series = models * policies * SERIES_A_POLICY
        self._rng = random.Random(seed)
        self._times_of, self._times = -TIMES_HOLD_MS, [b""]
        places = list(product(MODELS[:models], POLICIES[:policies], enumerate(LANGUAGES, 1), enumerate(REGIONS, 1)))
        weights = list(accumulate(1.0 / (common * near) for *_, (common, _), (near, _) in places))
        self._made = [
            self._text(model or name, modality, policy, language, region, acted_share, features).encode()
            for (name, modality), policy, (_, language), (_, region) in self._rng.choices(
                places, cum_weights=weights, k=VARIETY
            )
        ]

    def batch(self, count: int, at_ms: int) -> list[bytes]:
        """Decisions that happened within the last 0.6 seconds before `at_ms` (epoch)."""
        random_bits, made = self._rng.getrandbits, self._made
        if not 0 <= at_ms - self._times_of < TIMES_HOLD_MS:
            self._times_of, self._times = at_ms, [_instant(at_ms - back) for back in range(0, 500, 4)]
        times = self._times
        found = []
        for _ in range(count):
            drawn = random_bits(143)  # 128 bits of the id, 15 of the place
            found.append(
                b'{"decision_id":"%032x","occurred_at":"%sZ"%s'
                % (drawn >> 15, times[drawn % 125], made[drawn % VARIETY])
            )
        return found

    def _text(
        self, model: str, modality: str, policy: str, language: str, region: str, acted_share: float, features: bool
    ) -> str:
        rng = self._rng
        acted = rng.random() < acted_share
        action, score = (rng.choice(ACTED), rng.uniform(0.8, 1.0)) if acted else ("allow", 0.8 * rng.betavariate(1, 4))
        sampled = SAMPLED if acted and rng.random() < 0.1 else ""
        told = f',"features":{{"length":{rng.lognormvariate(4, 1):.0f},"client":"{rng.choice(("app", "web"))}"}}'
        return (
            f',"model":"{model}","model_version":"2026.10.2","policy":"{policy}","policy_version":"2026-09"'
            f',"modality":"{modality}","language":"{language}","region":"{region}","surface":"{rng.choice(SURFACES)}"'
            f',"variant":"champion","automated":true,"actor_key":"{rng.getrandbits(64):016x}"'
            f',"action":"{action}","score":{score:.6f},"threshold":0.8'
            f',"latency_seconds":{rng.lognormvariate(-3, 0.7):.5f}{sampled}{told if features else ""}}}'
        )


def _instant(at_ms: int) -> bytes:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%FT%T.%f")[:-3].encode()


class Publisher:
    """Publishes to one source topic as fast as the broker takes it; RuntimeError when something is not acknowledged."""

    def __init__(
        self, bootstrap: str, *, topic: SourceTopic = DECISIONS, compression: str = "none", linger_ms: float = 5.0
    ) -> None:
        self.count = 0
        self._topic = topic.topic
        self._refused: list[KafkaError] = []
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "linger.ms": linger_ms,
                "compression.type": compression,
                "acks": "all",
                "queue.buffering.max.messages": 200_000,
                "queue.buffering.max.kbytes": 500_000,
                "delivery.report.only.error": True,
                "log_level": 0,  # brokers end before their producers do
            }
        )

    def publish(self, partition: int, value: bytes) -> None:
        """Hand over one record; waits while the queue is full."""
        while True:
            try:
                self._producer.produce(self._topic, value, partition=partition, on_delivery=self._delivered)
                break
            except BufferError:
                self._producer.poll(0.05)
        self._told(1)

    def publish_all(self, partition: int, values: Sequence[bytes]) -> None:
        """Hand over records for one partition, in order; waits while the queue is full."""
        left = [{"value": value} for value in values]
        while left:
            queued = self._producer.produce_batch(self._topic, left, partition=partition, on_delivery=self._delivered)
            self._told(queued)
            left = [{"value": record["value"]} for record in left if "_error" in record]
            if left:
                self._producer.poll(0.05)

    def _told(self, count: int) -> None:
        """Count what was handed over; hear of what was refused every few thousand."""
        if (self.count + count) // POLL_EVERY > self.count // POLL_EVERY:
            self._producer.poll(0)
        self.count += count

    def flush(self) -> int:
        """Wait until everything is acknowledged; how much was published."""
        left = self._producer.flush(FLUSHED_WITHIN)
        if left or self._refused:
            raise RuntimeError(f"{self._topic}: {left} records not acknowledged, refused: {self._refused[:3]}")
        return self.count

    def _delivered(self, error: KafkaError | None, _record: object) -> None:
        if error is not None:
            self._refused.append(error)


def spread_over(partitions: int, decisions: Decisions, *, total: int) -> Iterator[tuple[int, bytes]]:
    """`total` decisions that happen now, each with its partition: all partitions in turn."""
    for begin in range(0, total, 1000 * partitions):
        values = decisions.batch(min(total - begin, 1000 * partitions), int(1000 * time.time()))
        for index, value in enumerate(values):
            yield index % partitions, value
