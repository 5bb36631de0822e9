"""What was needed for a moment is given back."""

from __future__ import annotations

import subprocess
import sys

HOLES = """
from pathlib import Path
from monitor.service.allocator import keep_buffers, release_unused

def resident_pages():
    return int(Path("/proc/self/statm").read_text().split()[1])

assert keep_buffers()
blocks = [bytes(64 * 1024) for _ in range(1000)]
kept = blocks[::10]
del blocks
before = resident_pages()
assert release_unused()
print(4096 * (before - resident_pages()))
"""


def test_pages_between_what_is_used_go_back_to_the_kernel() -> None:
    freed = int(subprocess.check_output([sys.executable, "-c", HOLES]))
    assert freed > 20 * 1024 * 1024
