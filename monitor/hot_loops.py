"""The modules that are compiled when the package is built or installed (their sources are *.pyx): are they there?

Without them everything works alike, at about half the speed. `python -m monitor.hot_loops` exits 1 if any is missing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

MODULES: Final = ("monitor.decision_sums", "monitor.scan", "monitor.streaming.unpack")


def missing() -> dict[str, str]:
    """Why it cannot be imported, by name of each module that cannot."""
    found = {}
    for name in MODULES:
        try:
            import_module(name)
        except ImportError as error:
            found[name] = str(error)
    return found


if __name__ == "__main__":
    sys.exit("\n".join(f"{name} is not compiled: {why}" for name, why in missing().items()) or 0)
