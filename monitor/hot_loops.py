"""The modules that are compiled when the package is built or installed: are they there?

Their sources are *.pyx, or *.py beside a *.pxd. Without them everything works alike, at about a fifth of the speed.
`python -m monitor.hot_loops` exits 1 if any is missing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

MODULES: Final = (
    "detectors.step_loops",
    "monitor.decision_sums",
    "monitor.exposition_lines",
    "monitor.name_codes",
    "monitor.scan",
    "monitor.seen_loops",
    "monitor.streaming.unpack",
)


def missing() -> dict[str, str]:
    """What is wrong, by name of each module that is not there."""
    found = {}
    for name in MODULES:
        try:
            file = import_module(name).__file__ or ""
            if file.endswith(".py"):
                found[name] = f"only its source is there, {file}"
        except ImportError as error:
            found[name] = str(error)
    return found


if __name__ == "__main__":
    sys.exit("\n".join(f"{name} is not compiled: {why}" for name, why in missing().items()) or 0)
