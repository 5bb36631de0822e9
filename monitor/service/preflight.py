"""Before anything starts: does Kafka answer, and are the topics there as they have to be?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from monitor.streaming.security import Security, aiokafka_options
from monitor.topics import BLOCKS, STATE

WITHIN_SECONDS: Final = 8.0
BOOTSTRAP_SHARE: Final = 1 / 4
"""Of that time, for one bootstrap server: one that swallows what is sent leaves time for the next."""
ATTEMPT_SHARE: Final = 1 / 8
"""Of that time, for one question to one node."""
PAUSE_SECONDS: Final = 0.1


class NotReady(RuntimeError):  # noqa: N818 - says what Kafka is
    """Kafka cannot be reached, or topics are missing; one line says which and what to do."""


Description = Sequence[Mapping[str, Any]]
"""Topics with their partitions, as Kafka describes them."""


async def check_kafka(
    bootstrap_servers: str, security: Security, *, topics: Sequence[str], within: float = WITHIN_SECONDS
) -> dict[str, int]:
    """Number of partitions of each topic. Raises NotReady."""
    try:
        found = await _described(bootstrap_servers, security, topics, within)
    except _Away as error:
        raise NotReady(f"kafka {bootstrap_servers}: {error}") from error
    return _partitions(bootstrap_servers, topics, found)


async def why_away(
    bootstrap_servers: str, security: Security, *, topics: Sequence[str], within: float = WITHIN_SECONDS
) -> str | None:
    """Why nobody can read these topics at present: no answer, or a partition without a leader. None if they can."""
    try:
        found = await _described(bootstrap_servers, security, topics, within)
    except _Away as error:
        return str(error)
    leaderless = [
        f"{entry['topic']}[{partition['partition']}]"
        for entry in found
        for partition in entry["partitions"]
        if partition["leader"] < 0
    ]
    return f"no leader for {', '.join(leaderless)}" if leaderless else None


class _Away(Exception):  # noqa: N818 - says what Kafka is
    """Nobody answers; says for how long, or why."""


async def _described(bootstrap_servers: str, security: Security, topics: Sequence[str], within: float) -> Description:
    """What some broker says of the topics.

    Where none of the bootstrap servers answers, there is nobody to ask. Where one does, the client picks any node that
    it names, also one that is down: asking again picks another one.
    """
    last: KafkaError | OSError | None = None
    admin = AIOKafkaAdminClient(
        bootstrap_servers=bootstrap_servers,
        request_timeout_ms=int(1000 * within * BOOTSTRAP_SHARE),
        **aiokafka_options(security),
    )
    try:
        async with asyncio.timeout(within):
            await admin.start()
            while True:
                try:
                    async with asyncio.timeout(within * ATTEMPT_SHARE):
                        described: Description = await admin.describe_topics(list(topics))
                        return described
                except (KafkaError, OSError) as error:  # OSError: a TimeoutError of this attempt as well
                    last = error if str(error) else last  # an attempt that timed out says nothing
                await asyncio.sleep(PAUSE_SECONDS)
    except TimeoutError:
        why = f"; the last attempt: {last}" if last is not None else ""
        raise _Away(f"no answer within {within:g} s{why}") from None
    except (KafkaError, OSError) as error:
        raise _Away(str(error)) from error
    finally:
        await admin.close()


def _partitions(bootstrap_servers: str, topics: Sequence[str], described: Description) -> dict[str, int]:
    found = {entry["topic"]: len(entry["partitions"]) for entry in described}
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
