"""PCA reconstruction errors of the car loans that NannyML comes with: ours, NannyML's now, and its published ones.

A test of the library cannot hold these 100,000 rows of continuous features, and no small table of them gives mean
distances exactly. So this stands beside the peers, where NannyML is installed, and fails where a printed digit differs.
"""

from __future__ import annotations

import csv
from functools import reduce
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats
from detectors.embedding import merge, moments, principal_subspace
from detectors.label_free import reference_band
from tests.bench.statistics_peers import CAR_LOAN, CHUNK, ask
from tests.bench.tables import Table

PUBLISHED: Final = (1.141517, 1.130636, 1.138914, 1.145040, 1.137563, 1.249205, 1.243101, 1.258147, 1.228179, 1.259884)
PUBLISHED_BAND: Final = (1.115281, 1.153019)

Text = npt.NDArray[np.str_]


def car_loan(*, python: str) -> Table:
    """`python`: the interpreter that has NannyML. AssertionError where ours, NannyML's and the published differ."""
    told = ask("car_loan", python=python)
    title, heads = "PCA reconstruction error, NannyML's car loans", ("chunk", "ours", "NannyML", "published")
    if told["why"]:
        return Table(title=title, columns=heads, rows=[(told["why"], "", "", "")])
    folder = Path(told["folder"])
    before, after = (_read(folder / f"synthetic_car_loan_{part}.csv") for part in ("reference", "analysis"))
    reference, current = map(np.column_stack, zip(*map(_numbers, before, after), strict=True))

    # As a stream would: sums of chunks, added up.
    subspace = principal_subspace(reduce(merge, map(moments, reference.reshape(-1, CHUNK, len(CAR_LOAN)))))
    usual, ours = (subspace.distances(side).reshape(-1, CHUNK).mean(axis=1) for side in (reference, current))
    band = reference_band(usual)

    printed = [f"{error:.6f}" for error in (*ours, band.lower, band.upper)]
    theirs = [f"{error:.6f}" for error in (*told["errors"], *told["band"])]
    published = [f"{error:.6f}" for error in (*PUBLISHED, *PUBLISHED_BAND)]
    assert printed == theirs == published, (printed, theirs, published)
    names = [*map(str, range(len(ours))), "band from", "to"]
    note = (
        f"{len(CAR_LOAN)} features, chunks of {CHUNK:,}; {len(subspace.components)} components hold "
        f"{100 * subspace.kept:.1f} %. Ours and NannyML's differ by at most {np.abs(ours - told['errors']).max():.0e}."
    )
    return Table(
        title=title,
        columns=heads,
        rows=list(zip(names, printed, theirs, published, strict=True)),
        notes=(note,),
    )


def _read(path: Path) -> list[Text]:
    """The features, as text."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [np.array([row[name] for row in rows]) for name in CAR_LOAN]


def _numbers(known: Text, later: Text) -> tuple[Floats, Floats]:
    """A feature of the reference and of later rows: as numbers, or each category as its share in the reference."""
    try:
        return known.astype(np.float64), later.astype(np.float64)
    except ValueError:
        kinds, code, count = np.unique(known, return_inverse=True, return_counts=True)
        share = count / len(known)
        return share[code], share[np.searchsorted(kinds, later)]
