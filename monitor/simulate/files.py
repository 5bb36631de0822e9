"""A simulated log as files: one JSON Lines file for each topic and one for the truth.

Each line is the event exactly as published. Replaying a file takes the event's own time as the record's timestamp:
that is the timestamp its record had (`records`), except for the second copy of a retried decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from monitor.simulate.records import MinuteBatch
from monitor.topics import SOURCES

FILES: Final = {source.topic: f"{source.topic.removeprefix('moderation.')}.jsonl" for source in SOURCES}
"""Kafka topic -> file name."""
TRUTH_FILE: Final = "truth.jsonl"
FILE_NAMES: Final = (*FILES.values(), TRUTH_FILE)
"""Of all that `write_files` writes."""


def write_files(
    batches: Iterable[MinuteBatch], directory: Path, *, on_progress: Callable[[MinuteBatch], None] | None = None
) -> dict[str, int]:
    """Write batches into `directory` (made if need be, files replaced) and return the number of lines by file name."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = dict.fromkeys(FILE_NAMES, 0)
    encode = msgspec.json.Encoder().encode
    with ExitStack() as stack:
        files = {name: stack.enter_context((directory / name).open("wb")) for name in lines}
        for batch in batches:
            for topic, records in batch.records.items():
                files[FILES[topic]].writelines(value + b"\n" for value in records.values)
                lines[FILES[topic]] += len(records)
            files[TRUTH_FILE].writelines(encode(row) + b"\n" for row in batch.truth)
            lines[TRUTH_FILE] += len(batch.truth)
            if on_progress is not None:
                on_progress(batch)
    return lines
