"""Decisions as a platform publishes them, some 420 bytes of JSON each, and their way to Kafka.

Five models on four policies each; a model has one modality. Languages and regions are drawn with weights 1/rank, so
that a block meets common and rare cells. By policy that makes 1 + 14 languages + 9 regions + 1 modality = 25 series,
500 in all. Ids are as random as UUIDs; times lie just before Kafka's own timestamps.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import accumulate, product
from typing import Final

from confluent_kafka import KafkaError, Producer

from monitor.topics import DECISIONS

MODELS: Final = {
    "text-toxicity": "text",
    "image-nudity": "image",
    "video-violence": "video",
    "audio-speech": "audio",
    "listing-fraud": "multimodal",
}
POLICIES: Final = ("hate_speech", "harassment", "sexual_content", "dangerous_goods")
LANGUAGES: Final = ("en", "es", "pt", "hi", "ar", "id", "de", "fr", "ja", "tr", "ru", "vi", "th", "pl")
REGIONS: Final = ("us", "eu", "br", "in", "mena", "sea", "jp", "latam", "africa")
SURFACES: Final = ("feed", "comments", "messages")
SERIES: Final = len(MODELS) * len(POLICIES) * (1 + len(LANGUAGES) + len(REGIONS) + 1)
ACTED: Final = ("remove", "restrict", "label", "age_gate")
SAMPLED: Final = b',"sampled":true,"inclusion_probability":0.05,"design_id":"audit-2026w47"'
VARIETY: Final = 4096
"""Texts of action, score and latency are made once and drawn from: formatting numbers would take most of the time."""


class Decisions:
    """An endless supply of decisions. `acted_share` of them were acted on; one in ten of those is sampled for review.

    `model` replaces the names of all models, so that single decisions can be told from the others.
    """

    def __init__(self, *, acted_share: float = 0.05, seed: int = 1, model: str | None = None) -> None:
        self._rng = random.Random(seed)
        self._acted_share = acted_share
        rng = self._rng
        places = list(product(MODELS.items(), POLICIES, enumerate(LANGUAGES, 1), enumerate(REGIONS, 1), SURFACES))
        self._places = [
            (
                f'","model":"{model or name}","model_version":"2026.10.2","policy":"{policy}"'
                f',"policy_version":"2026-09","modality":"{modality}","language":"{language}","region":"{region}","surface":"{surface}"'
                f',"variant":"champion","automated":true,"actor_key":"'
            ).encode()
            for (name, modality), policy, (_, language), (_, region), surface in places
        ]
        self._weights = list(accumulate(1.0 / (common * near) for _, _, (common, _), (near, _), _ in places))
        self._allowed = [self._outcome("allow", low=0.0, high=0.8) for _ in range(VARIETY)]
        self._acted = [self._outcome(rng.choice(ACTED), low=0.8, high=1.0) for _ in range(VARIETY)]

    def batch(self, count: int, at_ms: int) -> list[bytes]:
        """Decisions that happened within the last half second before `at_ms` (epoch)."""
        rng = self._rng
        random_bits, fraction = rng.getrandbits, rng.random
        times = [
            datetime.fromtimestamp((at_ms - back) / 1000, UTC).strftime("%FT%T.%f")[:-3].encode() + b"Z"
            for back in range(0, 500, 10)
        ]
        share = self._acted_share
        found = []
        for place in rng.choices(self._places, cum_weights=self._weights, k=count):
            drawn = random_bits(12)
            acted = fraction() < share
            tail = self._acted[drawn] if acted else self._allowed[drawn]
            if acted and drawn % 10 == 0:
                tail = tail[:-1] + SAMPLED + b"}"
            found.append(
                b'{"decision_id":"%032x","occurred_at":"%s%s%016x%s'
                % (random_bits(128), times[drawn % 50], place, random_bits(64), tail)
            )
        return found

    def _outcome(self, action: str, *, low: float, high: float) -> bytes:
        rng = self._rng
        score = rng.uniform(low, high)
        return (
            f'","action":"{action}","score":{score:.6f},"threshold":0.8'
            f',"latency_seconds":{rng.lognormvariate(-3, 0.7):.5f}}}'
        ).encode()


def publish(
    bootstrap: str,
    decisions: Iterator[tuple[int, bytes]],
    *,
    compression: str = "none",
    linger_ms: float = 5.0,
    within: float = 120.0,
) -> int:
    """Publish (partition, decision) pairs as fast as the broker takes them; their number. RuntimeError if one fails."""
    refused: list[KafkaError] = []

    def delivered(error: KafkaError | None, _record: object) -> None:
        if error is not None:
            refused.append(error)

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": linger_ms,
            "compression.type": compression,
            "acks": "all",
            "queue.buffering.max.messages": 200_000,
            "queue.buffering.max.kbytes": 500_000,
            "delivery.report.only.error": True,
        }
    )
    count = 0
    for partition, value in decisions:
        count += 1
        while True:
            try:
                producer.produce(DECISIONS.topic, value, partition=partition, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.05)
        if count % 5000 == 0:
            producer.poll(0)
    left = producer.flush(within)
    if left or refused:
        raise RuntimeError(f"{DECISIONS.topic}: {left} decisions not acknowledged, refused: {refused[:3]}")
    return count


def spread_over(partitions: int, decisions: Decisions, *, total: int, now_ms: int) -> Iterator[tuple[int, bytes]]:
    """`total` decisions, one partition after the other in turn, each with its partition."""
    left = total
    while left:
        values = decisions.batch(min(left, 1000 * partitions), now_ms)
        for index, value in enumerate(values):
            yield index % partitions, value
        left -= len(values)
