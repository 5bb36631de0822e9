"""Whether the state directory can be used, said before anything else is started."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

PROBE: Final = ".writable"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class UnusableDirectory(ValueError):  # noqa: N818 - says what the directory is
    """The state directory cannot be made or written to, for another reason than that it is full."""


def prepare(directory: Path) -> None:
    """Make the directory and try it. UnusableDirectory says path, problem and what is needed.

    One that is full is no reason not to start: only the join waits for room, everything else counts.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / PROBE
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        if error.errno in _FULL and directory.is_dir():
            return
        raise UnusableDirectory(
            f"state.directory {directory}: {error.strerror}; needed is a directory on a disk that this user can write"
            " to (a volume of its own in a container), see the sizing in the README"
        ) from error
