"""Before anything starts: does Kafka answer, and are the topics there as they have to be?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from monitor.streaming.security import Security, aiokafka_options
from monitor.topics import BLOCKS, STATE


class NotReady(RuntimeError):  # noqa: N818 - says what Kafka is
    """Kafka cannot be reached, or topics are missing; one line says which and what to do."""


async def check_kafka(
    bootstrap_servers: str, security: Security, *, topics: Sequence[str], within: float = 8.0
) -> dict[str, int]:
    """Number of partitions of each topic. Raises NotReady."""
    try:
        return await asyncio.wait_for(_partitions(bootstrap_servers, security, topics), within)
    except TimeoutError:
        raise NotReady(f"kafka {bootstrap_servers}: no answer within {within:g} s") from None
    except (KafkaError, OSError) as error:
        raise NotReady(f"kafka {bootstrap_servers}: {error}") from error


async def why_away(
    bootstrap_servers: str, security: Security, *, topics: Sequence[str], within: float = 8.0
) -> str | None:
    """Why nobody can read these topics at present: no answer, or a partition without a leader. None if they can."""
    try:
        leaderless = await asyncio.wait_for(_leaderless(bootstrap_servers, security, topics), within)
    except TimeoutError:
        return f"no answer within {within:g} s"
    except (KafkaError, OSError) as error:
        return str(error)
    return f"no leader for {', '.join(leaderless)}" if leaderless else None


async def _leaderless(bootstrap_servers: str, security: Security, topics: Sequence[str]) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, **aiokafka_options(security))
    try:
        await admin.start()
        return [
            f"{entry['topic']}[{partition['partition']}]"
            for entry in await admin.describe_topics(list(topics))
            for partition in entry["partitions"]
            if partition["leader"] < 0
        ]
    finally:
        await admin.close()


async def _partitions(bootstrap_servers: str, security: Security, topics: Sequence[str]) -> dict[str, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, **aiokafka_options(security))
    try:
        await admin.start()
        found = {entry["topic"]: len(entry["partitions"]) for entry in await admin.describe_topics(list(topics))}
    finally:
        await admin.close()
    missing = [topic for topic in topics if not found.get(topic)]
    if missing:
        raise NotReady(
            f"kafka {bootstrap_servers}: missing topics {', '.join(missing)};"
            " `moderation-monitor topics create` makes them"
        )
    if found[BLOCKS] != found[STATE]:
        raise NotReady(
            f"kafka {bootstrap_servers}: {BLOCKS} has {found[BLOCKS]} partitions and {STATE} has {found[STATE]};"
            " they must have the same number"
        )
    return found
