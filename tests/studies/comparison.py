"""How often the distances of `detectors.comparison` reject, without and with a shift, beside two rules of thumb.

Run: `python -m tests.studies.comparison`. Scores follow a known distribution over fixed bins; a current window of n
is compared with a reference of n, or of 10,000. `PSI > 0.2` and `KS p < 0.05` are what monitors commonly ship; the
sound rule asks for a p-value below .001 and an effect size, and reads nothing below the minimum sample.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy

from detectors.comparison import (
    Distance,
    chi_square,
    cramer_von_mises,
    hellinger,
    jensen_shannon,
    ks,
    permutation_test,
    psi,
    total_variation,
    wasserstein,
)
from tests.bench.tables import Table, begin, show

SMALL: Final = "--runs 50 --permuted 5 --draws 39 --sizes 100 1000"

Counts = npt.NDArray[np.int64]
Method = Callable[..., Distance]

BINS: Final = 10
METHODS: Final[dict[str, Method]] = {
    "chi-square": chi_square,
    "PSI": psi,
    "Jensen-Shannon": jensen_shannon,
    "Hellinger": hellinger,
    "Kolmogorov-Smirnov": ks,
    "Cramer-von Mises": cramer_von_mises,
    "total variation": total_variation,
}
PERMUTED: Final[dict[str, Method]] = {
    "Wasserstein": partial(wasserstein, edges=np.linspace(0.0, 1.0, BINS + 1)),
    **METHODS,
}


def shares(shift: float, bins: int = BINS) -> npt.NDArray[np.float64]:
    """Shares of the bins that a standard normal fills equally, when its mean is moved by `shift`."""
    inner = scipy.special.ndtri(np.arange(1, bins) / bins)
    return np.diff(np.r_[0.0, scipy.special.ndtr(inner - shift), 1.0])


def drawn(rng: np.random.Generator, runs: int, n: int, m: int, shift: float) -> tuple[Counts, Counts]:
    """Reference and current counts of so many comparisons."""
    return rng.multinomial(n, shares(0.0), runs), rng.multinomial(m, shares(shift), runs)


def sound(found: Distance, m: int, effect: float) -> npt.NDArray[np.bool_]:
    """Significant at one in a thousand, large enough to matter, and the sample large enough to say so."""
    return (found.p_value < 0.001) & (found.effect_size > effect) & (m >= found.minimum_sample)


def rejections(sizes: Sequence[int], *, runs: int, shift: float, reference: int | None, seed: int) -> Table:
    """Share of comparisons in which each method says "drift"."""
    rows: dict[str, list[str]] = {name: [] for name in (*METHODS, "rule PSI > 0.2", "rule KS p < .05", "sound rule")}
    for m in sizes:
        rng = np.random.default_rng([seed, m])
        pair = drawn(rng, runs, reference or m, m, shift)
        for name, method in METHODS.items():
            rows[name].append(percent(method(*pair).p_value < 0.05))
        rows["rule PSI > 0.2"].append(percent(psi(*pair).statistic > 0.2))
        rows["rule KS p < .05"].append(percent(ks(*pair).p_value < 0.05))
        rows["sound rule"].append(percent(sound(psi(*pair), m, 0.1)))
    index = psi(shares(0.0), shares(shift), pseudo_count=0).statistic
    against = "as many" if reference is None else f"{reference:,}"
    return Table(
        title=f"Comparisons that say drift, %: mean moved by {shift:g} sd (PSI {index:.4f}), reference of {against}",
        columns=("p < .05 unless said otherwise", *(f"n = {m:,}" for m in sizes)),
        rows=[(name, *cells) for name, cells in rows.items()],
        notes=(
            f"{runs:,} comparisons each, {BINS} bins. Sound rule: PSI with p < .001, above .1, at the minimum sample.",
        ),
    )


def permuted(sizes: Sequence[int], *, runs: int, draws: int, seed: int) -> Table:
    """The permutation test of Wasserstein and of the others at small samples."""
    rows = []
    for name, method in PERMUTED.items():
        cells = []
        for m in sizes:
            for shift in (0.0, 0.25):
                rng = np.random.default_rng([seed, m])
                pair = drawn(rng, runs, m, m, shift)
                cells.append(percent(permutation_test(method, *pair, generator=rng, draws=draws).p_value <= 0.05))
        rows.append((name, *cells))
    return Table(
        title="Permutation test at 5 %: rejections in %, mean moved by 0 and by .25 sd",
        columns=("distance", *(f"n = {m}, {shift:g}" for m in sizes for shift in (0.0, 0.25))),
        rows=rows,
        notes=(f"{runs:,} comparisons each, {draws} draws.",),
    )


def bins_and_size(*, runs: int, seed: int) -> Table:
    """What binning and thin bins do to the size of the tests."""
    layouts = {
        "2 equal bins": np.full(2, 0.5),
        "5 equal bins": np.full(5, 0.2),
        "10 equal bins": np.full(10, 0.1),
        "20 equal bins": np.full(20, 0.05),
        "64 equal bins": np.full(64, 1 / 64),
        "256 equal bins": np.full(256, 1 / 256),
        "90 % in the first of 10": np.r_[0.9, np.full(9, 0.1 / 9)],
        "each of 10 half the last": 0.5 ** np.arange(1, 11) / (0.5 ** np.arange(1, 11)).sum(),
    }
    rows = []
    for name, share in layouts.items():
        rng = np.random.default_rng([seed, share.size])
        for n, m in ((50, 50), (1000, 1000), (10_000, 200)):
            pair = rng.multinomial(n, share, runs), rng.multinomial(m, share, runs)
            cells = [percent(method(*pair).p_value < 0.05) for method in METHODS.values()]
            rows.append((f"{name}, {n:,} / {m:,}", *cells))
    return Table(
        title="Rejections at a nominal 5 % without a shift, by bins",
        columns=("bins, n / m", *METHODS),
        rows=rows,
        notes=(f"{runs:,} comparisons each.",),
    )


def minimum_samples(*, runs: int, seed: int) -> Table:
    """Power at the minimum sample that each method states for the effect that a moved mean has on it."""
    rows = []
    for shift in (0.15, 0.25):
        for reference in (10_000, 1_000_000):
            for name, method in METHODS.items():
                rng = np.random.default_rng([seed, reference])
                true = method(10**9 * shares(0.0), 10**9 * shares(shift)).effect_size
                needed = partial(method, smallest_effect=float(true))(
                    *(part[:1] for part in drawn(rng, 1, reference, 1, 0.0))
                ).minimum_sample[0]
                if not np.isfinite(needed):
                    rows.append((f"{name}, {shift:g} sd, {reference:,}", f"{true:.4f}", "none", ""))
                    continue
                power = method(*drawn(rng, runs, reference, int(needed), shift)).p_value < 0.05
                rows.append((f"{name}, {shift:g} sd, {reference:,}", f"{true:.4f}", f"{needed:,.0f}", percent(power)))
    return Table(
        title="Power at the minimum sample, % (near 80 by design; Kolmogorov-Smirnov and total variation: at least)",
        columns=("distance, shift, reference", "its effect size", "minimum sample", "power"),
        rows=rows,
        notes=(f"{runs:,} comparisons each, {BINS} bins.",),
    )


def percent(rejected: npt.NDArray[np.bool_]) -> str:
    """A share in percent."""
    return f"{100 * np.mean(rejected):.1f}"


def run(arguments: Sequence[str]) -> list[Table]:
    """Simulate and print; the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20_000, help="comparisons for each number")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 300, 1000, 3000, 10_000, 30_000, 100_000])
    parser.add_argument(
        "--permuted", type=int, default=2000, help="comparisons for each number of the permutation test"
    )
    parser.add_argument("--draws", type=int, default=199)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args(arguments)
    plain = partial(rejections, told.sizes, runs=told.runs, seed=told.seed)
    return show(
        [
            plain(shift=0.0, reference=None),
            plain(shift=0.0, reference=10_000),
            plain(shift=0.05, reference=None),
            plain(shift=0.25, reference=None),
            plain(shift=0.5, reference=10_000),
            bins_and_size(runs=told.runs, seed=told.seed),
            minimum_samples(runs=told.runs, seed=told.seed),
            permuted([20, 50, 200], runs=told.permuted, draws=told.draws, seed=told.seed),
        ]
    )


if __name__ == "__main__":
    begin(run)
