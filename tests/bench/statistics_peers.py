"""The peers of `tests.bench.statistics`, each run in a process of its own that needs NumPy and that peer only.

`python -m tests.bench.statistics_peers PEER ROWS RUNS` prints JSON: the seconds of each run, or why there are none;
`python -m tests.bench.statistics_peers car_loan` what NannyML finds in the data that it comes with, and where they are.
So the peers may be in an environment of their own: their requirements are not the service's. They are told to send no
usage statistics.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

NUMERIC: Final = 4
CATEGORICAL: Final = 2
CATEGORIES: Final = 8
SEED: Final = 7
INSTALL: Final = "make peers"
_OWN: Final = Path(__file__).parents[2] / ".venv-peers" / "bin" / "python"
INTERPRETER: Final = str(_OWN) if _OWN.exists() else sys.executable
"""The one that has the peers, if any has."""
QUIET: Final = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}

Columns = dict[str, npt.NDArray[Any]]


def columns(rows: int, *, current: bool) -> Columns:
    """Four scores and two categories; the current ones have moved a little. The same for all, ours included."""
    rng = np.random.default_rng([SEED, current])
    found: Columns = {f"score_{n}": rng.beta(0.8 + 0.1 * n + 0.05 * current, 6, size=rows) for n in range(NUMERIC)}
    weights = np.arange(CATEGORIES, 0, -1.0) + 0.2 * current
    for n in range(CATEGORICAL):
        found[f"category_{n}"] = rng.choice(CATEGORIES, size=rows, p=weights / weights.sum())
    return found


def labels(rows: int, *, current: bool) -> Columns:
    """Calibrated probabilities, decisions at one half, and truth."""
    rng = np.random.default_rng([SEED, 2, current])
    probability = rng.beta(2, 2 + 0.2 * current, size=rows)
    return {
        "probability": probability,
        "decision": (probability >= 0.5).astype(np.int64),
        "truth": (rng.random(rows) < probability).astype(np.int64),
    }


def _frames(rows: int) -> list[Any]:
    import pandas as pd

    frames = [pd.DataFrame(columns(rows, current=current)) for current in (False, True)]
    for frame in frames:
        for n in range(CATEGORICAL):
            frame[f"category_{n}"] = frame[f"category_{n}"].map("c{}".format).astype("category")
    return frames


def _nannyml_univariate(rows: int, *, continuous: str, categorical: str) -> Callable[[], object]:
    import nannyml

    reference, current = _frames(rows)
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=list(reference),
        continuous_methods=[continuous],
        categorical_methods=[categorical],
        chunk_number=10,
    )
    calculator.fit(reference)
    return lambda: calculator.calculate(current)


def _nannyml_cbpe(rows: int) -> Callable[[], object]:
    import nannyml
    import pandas as pd

    estimator = nannyml.CBPE(
        metrics=["precision"],
        y_pred_proba="probability",
        y_pred="decision",
        y_true="truth",
        problem_type="classification_binary",
        chunk_number=10,
    )
    estimator.fit(pd.DataFrame(labels(rows, current=False)))
    current = pd.DataFrame(labels(rows, current=True))
    return lambda: estimator.estimate(current)


def _evidently(rows: int) -> Callable[[], object]:
    from evidently import Dataset, Report
    from evidently.presets import DataDriftPreset

    reference, current = map(Dataset.from_pandas, _frames(rows))
    return lambda: Report([DataDriftPreset()]).run(current, reference)


PEERS: Final[dict[str, tuple[str, Callable[[int], Callable[[], object]]]]] = {
    "nannyml_ks": (
        "NannyML, KS and chi-square, 10 chunks",
        lambda rows: _nannyml_univariate(rows, continuous="kolmogorov_smirnov", categorical="chi2"),
    ),
    "nannyml_js": (
        "NannyML, Jensen-Shannon, 10 chunks",
        lambda rows: _nannyml_univariate(rows, continuous="jensen_shannon", categorical="jensen_shannon"),
    ),
    "nannyml_cbpe": ("NannyML, CBPE of precision, 10 chunks", _nannyml_cbpe),
    "evidently": ("Evidently, DataDriftPreset", _evidently),
}


CAR_LOAN: Final = (
    "car_value",
    "salary_range",
    "debt_to_income_ratio",
    "loan_length",
    "repaid_loan_on_prev_car",
    "size_of_downpayment",
    "driver_tenure",
)
CHUNK: Final = 5000


def car_loan() -> dict[str, Any]:
    """NannyML's reconstruction errors of the ten chunks of its car loans, its band, and the folder of the files."""
    try:
        import nannyml
    except ModuleNotFoundError as error:
        return {"why": f"not installed ({error.name}): {INSTALL}"}
    reference, current, _ = nannyml.load_synthetic_car_loan_dataset()
    calculator = nannyml.DataReconstructionDriftCalculator(column_names=list(CAR_LOAN), chunk_size=CHUNK)
    calculator.fit(reference)
    found = calculator.calculate(current).filter(period="analysis").to_df()["reconstruction_error"]
    return {
        "why": "",
        "folder": str(Path(nannyml.__file__).parent / "datasets" / "data"),
        "errors": found["value"].tolist(),
        "band": [float(found[f"{side}_threshold"].iloc[0]) for side in ("lower", "upper")],
    }


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of CPU of each run, or in words why there are none."""

    seconds: tuple[float, ...] = ()
    why: str = ""


def measure(peer: str, *, python: str, rows: int, runs: int) -> Measured:
    """Run a peer with this interpreter."""
    told = ask(peer, str(rows), str(runs), python=python)
    return Measured(seconds=tuple(told.get("seconds", ())), why=told["why"])


def ask(*arguments: str, python: str) -> dict[str, Any]:
    """What this module prints as a program of this interpreter; `why` where it did not come so far."""
    command = [python, "-m", "tests.bench.statistics_peers", *arguments]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, env={**os.environ, **QUIET})
    if done.returncode:
        return {"why": f"failed: {done.stderr.strip().splitlines()[-1]}"}
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def main(peer: str, rows: int, runs: int) -> dict[str, object]:
    """Prepare, run, tell."""
    try:
        work = PEERS[peer][1](rows)
    except ModuleNotFoundError as error:
        return {"seconds": [], "why": f"not installed ({error.name}): {INSTALL}"}
    seconds = []
    for _ in range(runs):
        begun = time.process_time()
        work()
        seconds.append(time.process_time() - begun)
    return {"seconds": seconds, "why": ""}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    asked = sys.argv[1:]
    print(json.dumps(car_loan() if asked == ["car_loan"] else main(asked[0], int(asked[1]), int(asked[2]))))
