"""State that cannot be read is kept for a look later, but never more of it than a few pieces."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

KEPT: Final = 3
"""Pieces that stay in a quarantine; what was put there first goes first."""


def set_aside(path: Path, quarantine: Path) -> Path:
    """Move a file or folder into the quarantine; returns where it is. OSError when it cannot be moved."""
    quarantine.mkdir(parents=True, exist_ok=True)
    make_room(quarantine)
    numbers = [int(one.name.rpartition("-")[2]) for one in quarantine.iterdir() if _numbered(one)]
    target = quarantine / f"{path.name}-{max(numbers, default=0) + 1}"
    path.rename(target)
    return target


def make_room(quarantine: Path) -> None:
    """Remove the oldest pieces so that one more makes `KEPT`. OSError when the folder cannot be read."""
    pieces = sorted(quarantine.iterdir(), key=lambda one: (one.stat().st_mtime_ns, one.name))
    for piece in pieces[: max(0, len(pieces) - KEPT + 1)]:
        remove(piece)


def remove(path: Path) -> None:
    """Remove a file or a folder, as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _numbered(path: Path) -> bool:
    return path.name.rpartition("-")[2].isdigit()
