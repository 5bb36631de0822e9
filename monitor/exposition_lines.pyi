"""Types of the compiled part of the exposition (exposition_lines.pyx)."""

from monitor.exposition_lines_plain import Written

def fill(families: list[Written], end: bytes) -> bytes:
    """All families one after the other, then `end`. ValueError unless the numbers are as many as the lines.

    The text of a block ends with the beginning of its last line.
    """
