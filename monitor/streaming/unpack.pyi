"""Types of the compiled reader of records (unpack.pyx)."""

import numpy as np
import numpy.typing as npt

def unpack(
    data: bytes,
    begin: int,
    end: int,
    base_offset: int,
    base_timestamp: int,
    first_offset: int,
    rows: npt.NDArray[np.int64],
) -> tuple[int, dict[int, list[tuple[str, bytes | None]]]]:
    """Write where the records that lie in `data` between `begin` and `end` are into `rows`, of shape (6, records).

    The rows are offset, timestamp, and begin and end of key and value, the end -1 where there is none. Records below
    `first_offset` are left out. Returns how many there are, and headers by index. ValueError for a malformed batch.
    """

def unwritten(size: int) -> tuple[bytes, memoryview]:
    """New bytes that hold anything, at least one, and their memory: write it before anybody looks at the bytes."""
