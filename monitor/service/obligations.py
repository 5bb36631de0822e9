"""What has to move in a worker that makes progress: a pure function of how far everything is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monitor.service.watchdog import Owed

Place = tuple[str, int]
"""(topic, partition)"""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one assigned partition is.

    `end` is where what may be read ends and `fetched_at` when Kafka last answered a fetch (None: not yet), `position`
    where processing is (None: not begun), `committed` what Kafka holds of it, or where reading started.
    """

    end: int | None
    fetched_at: float | None
    position: int | None
    committed: int


def obligations(
    *,
    group_known_at: float | None,
    restored: Mapping[int, int],
    standings: Mapping[Place, Standing],
    within: float,
    commit_within: float,
) -> dict[str, Owed]:
    """What owes a movement within `within` seconds, by what a person calls it.

    `restored` counts the records read of each partition that is being restored: as long as there is one, batches may
    have to wait for it. `commit_within` is added to `within` for commits, which come at intervals.
    """
    owed = {"answers of the consumer group": Owed(group_known_at, within)}
    for number, records in restored.items():
        owed[f"restoring partition {number}"] = Owed(records, within)
    for (topic, number), at in standings.items():
        name = f"{topic}[{number}]"
        if not restored:
            # Idle partitions are fetched from all the time; a full buffer is not, but then the position moves.
            owed[f"fetching {name}"] = Owed((at.fetched_at, at.position), within)
            if at.position is not None and at.end is not None and at.end > at.position:
                owed[f"reading {name}"] = Owed(at.position, within)
        if at.position is not None and at.position > at.committed:
            owed[f"committing {name}"] = Owed(at.committed, within + commit_within)
    return owed
