"""What is really true of the simulated decisions, by minute and segment.

Counts are of distinct decisions: a producer's retry is a second record, not a second decision.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import numpy as np

from monitor.simulate.traffic import Traffic


class TruthRow(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of one minute of decision time and one combination of all dimensions.

    True precision of any segment and window: sum of `true_positives` / sum of `acted` over its rows; recall: over
    `violating`.
    """

    minute: datetime
    model: str
    model_version: str
    variant: str
    policy: str
    language: str
    region: str
    surface: str
    modality: str
    decisions: int
    acted: int
    escalated: int
    violating: int
    true_positives: int
    """Acted on and violating."""
    sampled: int
    score_sum: int
    """Sum of the published scores in ten-thousandths."""


def count(traffic: Traffic) -> list[TruthRow]:
    """Truth of one model and minute; combinations without decisions have no row."""
    rows, names = traffic.rows, traffic.rows.names
    columns = (rows.policy, rows.language, rows.region, rows.surface, rows.release)
    shape = (len(names.policy), len(names.language), len(names.region), len(names.surface), len(names.release))
    cells, codes = np.unique(np.ravel_multi_index(columns, shape), return_inverse=True)
    counted = {
        "decisions": np.ones(len(rows)),
        "acted": traffic.acted,
        "escalated": traffic.escalated,
        "violating": rows.violating,
        "true_positives": traffic.acted & rows.violating,
        "sampled": traffic.sampled,
        "score_sum": rows.score,
    }
    sums = {
        name: np.bincount(codes, weights=column, minlength=len(cells)).astype(np.int64).tolist()
        for name, column in counted.items()
    }
    axes = [axis.tolist() for axis in np.unravel_index(cells, shape)]
    minute = datetime.fromtimestamp(traffic.minute * 60, UTC)
    return [
        TruthRow(
            minute=minute,
            model=traffic.model.name,
            model_version=names.release[release].version,
            variant=names.release[release].variant,
            policy=names.policy[policy],
            language=names.language[language],
            region=names.region[region],
            surface=names.surface[surface],
            modality=traffic.model.modality,
            **{name: column[place] for name, column in sums.items()},
        )
        for place, (policy, language, region, surface, release) in enumerate(zip(*axes, strict=True))
    ]
