"""Types of the compiled scanner (scan.pyx)."""

from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.name_codes import NameCodes

UNSURE: Final = -3
"""Takes the place of the code of a decision's key where the decision has to be decoded plainly."""

NO_NAME: Final = 255
"""Stands for the length of a name that is not told, in names that are joined."""

def scan(
    values: bytes,
    begins: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    codes: NameCodes,
    key: npt.NDArray[np.int64],
    occurred_ms: npt.NDArray[np.int64],
    id_hash: npt.NDArray[np.uint64],
    column: npt.NDArray[np.int64],
    score: npt.NDArray[np.float64],
    latency: npt.NDArray[np.float64],
    sampled: npt.NDArray[np.uint8],
    features: list[bytes | None] | None,
) -> dict[int, bytes]:
    """Write the columns of decisions, as `monitor.rows.DecisionRows` tells them, into arrays of shape (decisions,).

    They lie in `values` from each of `begins` up to each of `ends`. `codes` numbers keys by their names as bytes;
    `id_hash` takes `monitor.rows.hash_ids` of the ids, `sampled` whether a decision was sampled for review, and
    `features`, where wanted, the JSON of its features. Where `key` takes UNSURE, nothing else is written.

    Returns the names, by index, of decisions of which nothing else is wrong than that `codes` does not have them:
    joined in the order of `monitor.rows.decision_key`, each after its length. All but the `key` of these is written.
    """

def contexts(
    values: bytes,
    begins: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    occurred_us: npt.NDArray[np.int64],
    score: npt.NDArray[np.float64],
    inclusion: npt.NDArray[np.float64],
    ids: list[bytes],
    names: list[bytes],
) -> None:
    """Write what feedback needs of decisions: times in microseconds, and NaN where no probability is told.

    `names` are joined as those of `scan`, with action, policy version and design behind them. Of a decision that it is
    not sure of nothing is written.
    """
