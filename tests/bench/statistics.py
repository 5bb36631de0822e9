"""The statistics library beside SciPy, River, NannyML and Evidently on the same arrays.

Run: `python -m tests.bench.statistics`. CPU time of one thread, the least of some runs. NannyML and Evidently are
optional: `make peers` installs them; where they are not installed their rows say so. How long all default readings of
1000 segments take is told by `tests.bench.tick`. `tests.bench.car_loan` is not measured but checked.
"""

from __future__ import annotations

import argparse
import typing
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import river.drift
import river.drift.binary
from scipy import stats

from detectors import AnyDetector, ConfidenceSequence, ECusum, ESr, Kswin, Spec
from detectors.arrays import Floats
from detectors.charts import bernoulli_cusum_family, cusum_family, ewma_family
from detectors.comparison import bin_counts, chi_square, cramer_von_mises, jensen_shannon, ks, psi, wasserstein
from detectors.label_free import cbpe
from detectors.multiplicity import benjamini_hochberg
from detectors.sequential import EDetectors
from tests.bench.car_loan import car_loan
from tests.bench.statistics_peers import CATEGORICAL, CATEGORIES, INTERPRETER, NUMERIC, PEERS, columns, labels, measure
from tests.bench.tables import Table, begin, show
from tests.bench.timing import least_seconds

BINS: Final = 50
SCIPY_SEGMENTS: Final = 50
CBPE: Final = "ours, cbpe on single decisions, 10 chunks"
BATCH: Final = 64
RIVER: Final[dict[str, Callable[[], Any]]] = {
    "ADWIN": river.drift.ADWIN,
    "KSWIN": lambda: river.drift.KSWIN(seed=1),
    "PageHinkley": river.drift.PageHinkley,
    "DDM": river.drift.binary.DDM,
    "EDDM": river.drift.binary.EDDM,
    "FHDDM": river.drift.binary.FHDDM,
    "HDDM_A": river.drift.binary.HDDMA,
    "HDDM_W": river.drift.binary.HDDMW,
}


def cuts_of(reference: Floats) -> Floats:
    """Cut points of `BINS` bins with equally many values of the reference."""
    return np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1])


def two_samples(*, rows: int, runs: int) -> Table:
    """One column, from the values on, with the p-value."""
    reference, current = (columns(rows, current=one)["score_0"] for one in (False, True))
    cuts = cuts_of(reference)
    edges = np.concatenate([[0.0], cuts, [1.0]])
    pinned = bin_counts(reference, cuts)
    kinds = [columns(rows, current=one)["category_0"] for one in (False, True)]
    known = np.bincount(kinds[0], minlength=CATEGORIES)

    p_values = np.random.default_rng(7).random(1000)

    def counted() -> Any:
        return bin_counts(current, cuts)

    pairs: list[tuple[str, str, Callable[[], object], str, Callable[[], object]]] = [
        (
            "Kolmogorov-Smirnov",
            "ks",
            lambda: ks(pinned, counted()),
            "ks_2samp",
            lambda: stats.ks_2samp(reference, current, method="asymp"),
        ),
        (
            "Cramér-von Mises",
            "cramer_von_mises",
            lambda: cramer_von_mises(pinned, counted()),
            "cramervonmises_2samp",
            lambda: stats.cramervonmises_2samp(reference, current, method="asymptotic"),
        ),
        (
            "Wasserstein",
            "wasserstein",
            lambda: wasserstein(pinned, counted(), edges=edges),
            "wasserstein_distance",
            lambda: stats.wasserstein_distance(reference, current),
        ),
        (
            "chi-square",
            "chi_square",
            lambda: chi_square(known, np.bincount(kinds[1], minlength=CATEGORIES)),
            "chi2_contingency",
            lambda: stats.chi2_contingency([known, np.bincount(kinds[1], minlength=CATEGORIES)]),
        ),
        (
            f"Benjamini-Hochberg, {len(p_values):,} p-values",
            "benjamini_hochberg",
            lambda: benjamini_hochberg(p_values),
            "false_discovery_control",
            lambda: stats.false_discovery_control(p_values),
        ),
    ]
    rows_ = []
    for what, ours, our_work, theirs, their_work in pairs:
        we, they = least_seconds(our_work, runs=runs), least_seconds(their_work, runs=runs)
        rows_.append((what, ours, f"{we * 1e6:,.0f}", theirs, f"{they * 1e6:,.0f}", f"{they / we:.1f}"))
    return Table(
        title=f"Two samples of {rows:,}, µs a comparison",
        columns=("what", "ours", "µs", "SciPy", "µs", "ratio"),
        rows=rows_,
        notes=(f"Ours bins the current values ({BINS} bins) against a pinned reference; SciPy sorts both samples.",),
    )


def batch(*, rows: int, runs: int, python: str) -> Table:
    """Six columns against six."""
    reference, current = (columns(rows, current=one) for one in (False, True))
    scores = [f"score_{n}" for n in range(NUMERIC)]
    kinds = [f"category_{n}" for n in range(CATEGORICAL)]
    cuts = {name: cuts_of(reference[name]) for name in scores}
    pinned = {name: bin_counts(reference[name], cuts[name]) for name in scores}
    known = np.array([np.bincount(reference[name], minlength=CATEGORIES) for name in kinds])

    def ours() -> None:
        for name in scores:
            counts = bin_counts(current[name], cuts[name])
            ks(pinned[name], counts)
            psi(pinned[name], counts)
        chi_square(known, np.array([np.bincount(current[name], minlength=CATEGORIES) for name in kinds]))

    def with_scipy() -> None:
        for name in scores:
            stats.ks_2samp(reference[name], current[name], method="asymp")
        for name, before in zip(kinds, known, strict=True):
            stats.chi2_contingency([before, np.bincount(current[name], minlength=CATEGORIES)])

    told = labels(rows, current=True)

    positive = (told["decision"] == 1).astype(np.float64)

    def without_labels() -> None:
        for probability, actioned in zip(
            np.array_split(told["probability"], 10), np.array_split(positive, 10), strict=True
        ):
            cbpe(probability, actioned, not_actioned=1.0 - actioned)

    own, mean = least_seconds(ours, runs=runs), least_seconds(without_labels, runs=runs)
    apart = least_seconds(with_scipy, runs=runs)
    lines = [
        ("ours, KS, PSI and chi-square", f"{own * 1e3:,.2f}", "", ""),
        ("SciPy, ks_2samp and chi2_contingency", f"{apart * 1e3:,.2f}", f"{apart / own:,.1f}", ""),
        (CBPE, f"{mean * 1e3:,.2f}", "", ""),
    ]
    for peer, (name, _) in PEERS.items():
        result = measure(peer, python=python, rows=rows, runs=min(runs, 3))
        if result.seconds:
            taken, beside = min(result.seconds), mean if peer == "nannyml_cbpe" else own
            lines.append((name, f"{taken * 1e3:,.1f}", f"{taken / beside:,.1f}", ""))
        else:
            lines.append((name, "", "", result.why))
    size = NUMERIC + CATEGORICAL
    return Table(
        title=f"A batch of {rows:,} rows and {size} columns against as many, ms",
        columns=("what", "ms", "times ours", "note"),
        rows=lines,
        notes=(f"{NUMERIC} columns of scores, {CATEGORICAL} of categories. CBPE: of one model, beside ours.",),
    )


def segments(*, count: int, runs: int) -> Table:
    """Histograms of many segments against their references."""
    rng = np.random.default_rng(3)
    shape = rng.dirichlet(np.full(BINS, 5.0))
    reference, current = rng.multinomial(5000, shape, size=count), rng.multinomial(500, shape, size=count)
    edges, points = np.linspace(0, 1, BINS + 1), (np.arange(BINS) + 0.5) / BINS
    few = min(count, SCIPY_SEGMENTS)

    def one_by_one(work: Callable[[Any, Any], object]) -> Callable[[], object]:
        return lambda: [work(before, after) for before, after in zip(reference[:few], current[:few], strict=True)]

    made: list[tuple[str, Callable[[], object], Callable[[], object] | None]] = [
        (
            "ks",
            lambda: ks(reference, current),
            one_by_one(lambda a, b: stats.ks_2samp(np.repeat(points, a), np.repeat(points, b), method="asymp")),
        ),
        ("psi", lambda: psi(reference, current), None),
        ("jensen_shannon", lambda: jensen_shannon(reference, current), None),
        (
            "wasserstein",
            lambda: wasserstein(reference, current, edges=edges),
            one_by_one(lambda a, b: stats.wasserstein_distance(points, points, a, b)),
        ),
        (
            "cramer_von_mises",
            lambda: cramer_von_mises(reference, current),
            one_by_one(
                lambda a, b: stats.cramervonmises_2samp(np.repeat(points, a), np.repeat(points, b), method="asymptotic")
            ),
        ),
        (
            "chi_square",
            lambda: chi_square(reference, current),
            one_by_one(lambda a, b: stats.chi2_contingency([a + 1, b + 1])),
        ),
    ]
    rows = []
    for name, ours, theirs in made:
        we = least_seconds(ours, runs=runs) / count
        they = None if theirs is None else least_seconds(theirs, runs=1) / few
        cells = ("", "") if they is None else (f"{they * 1e6:,.0f}", f"{they / we:,.0f}")
        rows.append((name, f"{we * count * 1e3:.2f}", f"{we * 1e6:.2f}", *cells))
    return Table(
        title=f"{count:,} segments, histograms of {BINS} bins, one call",
        columns=("distance", "ms", "µs a segment", "SciPy, µs a segment", "ratio"),
        rows=rows,
        notes=(f"SciPy: a call each, {few} segments. All default readings of 1000 segments: `tests.bench.tick`.",),
    )


def one_by_one(build: Callable[[], Any], observed: Sequence[float], *, runs: int) -> str:
    """Nanoseconds an update, for whatever has `update`."""

    def work() -> None:
        update = build().update
        for x in observed:
            update(x)

    return f"{least_seconds(work, runs=runs) / len(observed) * 1e9:,.0f}"


def at_once(spec: Spec, observed: Floats, *, runs: int) -> str:
    """Nanoseconds an observation, all in one call."""
    return f"{least_seconds(lambda: spec.build().update_many(observed), runs=runs) / len(observed) * 1e9:,.0f}"


def updates(*, length: int, runs: int) -> Table:
    """One observation, one by one and in batches, beside River's."""
    values = (np.random.default_rng(5).random(length) < 0.5).astype(np.float64)
    few = min(length, 2000)
    rows = []
    kinds = typing.cast("tuple[type[Spec], ...]", typing.get_args(AnyDetector))
    specs = {str(kind.__struct_config__.tag): kind.example() for kind in kinds}
    specs["confidence_sequence, one side"] = ConfidenceSequence(target=0.5)
    for name, spec in sorted(specs.items()):
        shown = values * 20 if spec.domain.value == "count" else values
        many = shown[:few] if isinstance(spec, Kswin) else shown
        rows.append(
            (name, one_by_one(spec.build, shown[:few].tolist(), runs=runs), at_once(spec, many, runs=runs)),
        )
    rows += [
        (f"River {name}", one_by_one(build, values[:few].tolist(), runs=runs), "") for name, build in RIVER.items()
    ]
    return Table(
        title="A streaming detector, ns an observation",
        columns=("detector", "one by one", f"{length:,} at once"),
        rows=rows,
        notes=("Verdicts of 0 and 1 with a share of .5, `example()` of each; River with its defaults.",),
    )


def families(*, charts: int, runs: int) -> Table:
    """Many charts in one call: one observation each, and a block of observations each."""
    rng = np.random.default_rng(11)
    real, verdict = rng.normal(0.5, 0.05, size=(charts, BATCH)), rng.random((charts, BATCH)) < 0.5
    planned = ESr(mean=0.5, smallest_change=0.1, largest_change=0.1)
    made: list[tuple[str, Callable[[Any], object], Any]] = [
        ("cusum_family", cusum_family(np.full(charts, 0.5), 0.05, threshold=8.0).update, real),
        ("ewma_family", ewma_family(np.full(charts, 0.5), 0.05, threshold=3.0).update, real),
        ("bernoulli_cusum_family", bernoulli_cusum_family(np.full(charts, 0.5), 0.8, threshold=50).update, verdict),
        ("EDetectors, ESr, six bets", EDetectors([ESr.example()] * charts).update, verdict),
        ("EDetectors, ECusum, six bets", EDetectors([ECusum.example()] * charts).update, verdict),
        ("EDetectors, ESr, one bet", EDetectors([planned] * charts).update, verdict),
    ]
    rows = []
    for name, update, values in made:
        column = np.ascontiguousarray(values[:, 0])
        one = least_seconds(partial(update, column), runs=runs)
        block = least_seconds(partial(update, values), runs=runs)
        rows.append((name, f"{one * 1e3:.2f}", f"{one / charts * 1e9:.1f}", f"{block / charts / BATCH * 1e9:.1f}"))
    return Table(
        title=f"{charts:,} charts in one call",
        columns=("family", "ms, one observation each", "ns a chart", f"ns an observation, {BATCH} each"),
        rows=rows,
    )


def run(arguments: Sequence[str]) -> list[Table]:
    """Measure and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--segments", type=int, default=1000)
    parser.add_argument("--charts", type=int, default=10_000)
    parser.add_argument("--length", type=int, default=10_000, help="of the streams")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--peers", default=INTERPRETER, help="the interpreter that has NannyML and Evidently")
    told = parser.parse_args(arguments)
    return show(
        [
            two_samples(rows=told.rows, runs=told.runs),
            batch(rows=told.rows, runs=told.runs, python=told.peers),
            segments(count=told.segments, runs=told.runs),
            updates(length=told.length, runs=told.runs),
            families(charts=told.charts, runs=told.runs),
            car_loan(python=told.peers),
        ]
    )


if __name__ == "__main__":
    begin(run)
