"""The topics that the service needs: made where they are missing, checked where they are there, never changed.

Checkpoints go to the partition of `moderation.state` that has the number of their partition of `moderation.blocks`, so
these two must have equally many, and `moderation.state` must be compacted: otherwise state is lost without a word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from monitor.service.outlet import MAX_RECORD_BYTES
from monitor.settings import TopicSettings
from monitor.topics import BLOCKS, JOIN, SOURCES, STATE

HOUR_MS: Final = 3_600_000
BLOCKS_RETENTION_HOURS: Final = 48
"""Longer than any outage that a new owner should be able to continue after, checkpoint or not."""
SEGMENT_BYTES: Final = 64 * 1024 * 1024
"""Small segments: only what is no longer the active one is compacted or dropped."""
TIMEOUT_SECONDS: Final = 30.0


class TopicError(RuntimeError):
    """Kafka cannot be reached or refuses; the message says what was attempted."""


class Outcome(StrEnum):
    """What became of a topic."""

    CREATED = "created"
    EXISTS = "exists"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """A topic as it should be. `required` are those of its settings that an existing topic must have as well."""

    name: str
    partitions: int
    config: Mapping[str, str]
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TopicResult:
    """What was found or done; `problem` is empty unless the outcome is wrong."""

    name: str
    outcome: Outcome
    partitions: int
    problem: str = ""


def plan(settings: TopicSettings) -> tuple[TopicPlan, ...]:
    """All topics of the service, in the order in which they are made.

    Dead letters may be as large as records of internal topics: a source topic may take more than Kafka's default.
    """
    kept = str(round(settings.retention_hours * HOUR_MS))
    large = str(MAX_RECORD_BYTES)
    plans = []
    for source in SOURCES:
        plans.append(TopicPlan(source.topic, settings.source_partitions, {"retention.ms": kept}))
        plans.append(
            TopicPlan(
                source.dead_letters, settings.source_partitions, {"retention.ms": kept, "max.message.bytes": large}
            )
        )
    blocks = {
        "cleanup.policy": "delete",
        "retention.ms": str(BLOCKS_RETENTION_HOURS * HOUR_MS),
        "segment.bytes": str(SEGMENT_BYTES),
        "max.message.bytes": large,
    }
    state = {
        "cleanup.policy": "compact",
        "min.cleanable.dirty.ratio": "0.1",
        "segment.ms": str(HOUR_MS),
        "segment.bytes": str(SEGMENT_BYTES),
        "max.message.bytes": large,
    }
    join = {
        "cleanup.policy": "delete",
        "retention.ms": str(round(settings.join_retention_hours * HOUR_MS)),
        "message.timestamp.type": "LogAppendTime",  # how long feedback has waited is no producer's business
    }
    required = ("cleanup.policy", "max.message.bytes")
    plans.append(TopicPlan(JOIN, settings.join_partitions, join))
    plans.append(TopicPlan(BLOCKS, settings.internal_partitions, blocks, required))
    plans.append(TopicPlan(STATE, settings.internal_partitions, state, required))
    return tuple(plans)


def create_topics(
    bootstrap_servers: str, settings: TopicSettings, *, options: Mapping[str, Any] | None = None
) -> list[TopicResult]:
    """Make the topics that are missing; check the others. `options` is further configuration of the admin client.

    A state topic that is missing gets as many partitions as the blocks topic has, and the other way round. Raises
    TopicError.
    """
    doing = f"Kafka at {bootstrap_servers}: starting a client"
    try:
        # Kafka's own log lines would only repeat what the error says.
        admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0, **(options or {})})
        doing = f"Kafka at {bootstrap_servers}: listing topics"
        found = _partitions(admin)
        plans = _paired(plan(settings), found)
        missing = [one for one in plans if one.name not in found]
        doing = f"Kafka at {bootstrap_servers}: creating {', '.join(one.name for one in missing)}"
        _create(admin, missing, settings.replication_factor)
        doing = f"Kafka at {bootstrap_servers}: reading the settings of topics"
        there = [one for one in plans if one.name in found]
        configs = _configs(admin, [one.name for one in there if one.required])
    except KafkaException as error:
        raise TopicError(f"{doing}: {error.args[0].str()}") from error
    results = {one.name: TopicResult(one.name, Outcome.CREATED, one.partitions) for one in missing}
    for one in there:
        problem = "; ".join(_problems(one, configs.get(one.name, {}), found))
        outcome = Outcome.WRONG if problem else Outcome.EXISTS
        results[one.name] = TopicResult(one.name, outcome, found[one.name], problem)
    return [results[one.name] for one in plans]


def _partitions(admin: Any) -> dict[str, int]:
    topics = admin.list_topics(timeout=TIMEOUT_SECONDS).topics
    return {name: len(topic.partitions) for name, topic in topics.items()}


def _paired(plans: Sequence[TopicPlan], found: Mapping[str, int]) -> list[TopicPlan]:
    paired = found.get(BLOCKS, found.get(STATE))
    return [
        TopicPlan(one.name, paired, one.config, one.required) if paired and one.name in {BLOCKS, STATE} else one
        for one in plans
    ]


def _create(admin: Any, plans: Sequence[TopicPlan], replication_factor: int) -> None:
    if not plans:
        return
    topics = [
        NewTopic(
            one.name,
            num_partitions=one.partitions,
            replication_factor=replication_factor,
            config=dict(one.config),
        )
        for one in plans
    ]
    for created in admin.create_topics(topics, request_timeout=TIMEOUT_SECONDS).values():
        created.result(TIMEOUT_SECONDS)


def _configs(admin: Any, names: Sequence[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    described = admin.describe_configs(resources, request_timeout=TIMEOUT_SECONDS)
    return {
        resource.name: {key: entry.value for key, entry in result.result(TIMEOUT_SECONDS).items()}
        for resource, result in described.items()
    }


def _problems(one: TopicPlan, config: Mapping[str, str], found: Mapping[str, int]) -> list[str]:
    problems = []
    if one.name == STATE and found.get(BLOCKS, found[STATE]) != found[STATE]:
        problems.append(f"{found[STATE]} partitions, expected {found[BLOCKS]}, as {BLOCKS} has")
    for key in one.required:
        wanted, actual = one.config[key], config.get(key, "")
        fits = int(actual or 0) >= int(wanted) if key == "max.message.bytes" else actual == wanted
        if not fits:
            least = "at least " if key == "max.message.bytes" else ""
            problems.append(f"{key} is {actual or 'not set'}, expected {least}{wanted}")
    return problems
