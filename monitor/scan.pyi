"""Types of the compiled scanner (scan.pyx)."""

from typing import Final

import numpy as np
import numpy.typing as npt

UNSURE: Final = -3
"""Takes the place of the code of a decision's key where the decision has to be decoded plainly."""

def scan(
    values: bytes,
    begins: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    codes: dict[bytes, int],
    key: npt.NDArray[np.int64],
    occurred_ms: npt.NDArray[np.int64],
    column: npt.NDArray[np.int64],
    score: npt.NDArray[np.float64],
    latency: npt.NDArray[np.float64],
    sampled: npt.NDArray[np.uint8],
    ids: list[bytes],
    features: list[bytes | None] | None,
) -> dict[int, bytes]:
    """Write the columns of decisions, as `monitor.rows.DecisionRows` tells them, into arrays of shape (decisions,).

    They lie in `values` from each of `begins` up to each of `ends`. `codes` numbers keys by their names as bytes;
    `sampled` takes whether a decision was sampled for review, `ids` its id, and `features`, where wanted, the JSON of
    its features. Where `key` takes UNSURE, nothing else is written.

    Returns the names, by index, of decisions of which nothing else is wrong than that `codes` does not have them.
    """
