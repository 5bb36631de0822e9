"""The launch gate: pass, block or keep going, at any time, from a specification frozen before the first label."""

from __future__ import annotations

import hashlib
import math
from enum import StrEnum

import msgspec
import numpy as np

from detectors.arrays import Floats, require_fraction
from detectors.intervals import Interval
from detectors.launch.contrast import Contrast
from detectors.launch.evidence import Design, confidence_sequence, log_e_value
from detectors.launch.outcomes import KINDS, Outcomes
from detectors.parameters import convert_fields


class Verdict(StrEnum):
    """What the gate says; all but KEEP_GOING are final."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    BLOCK = "block"
    KEEP_GOING = "keep going"
    UNDECIDED = "undecided"


class Endpoint(msgspec.Struct, frozen=True):
    """A difference that must not be worse than `margin`, a share of actions: .01 is a point, or 10 per 1000 actions."""

    name: str
    contrast: Contrast
    margin: float

    def __post_init__(self) -> None:
        convert_fields(self)


class EndpointEvidence(msgspec.Struct, frozen=True):
    """ln of the e-values for "not worse than the margin" and for "worse"."""

    name: str
    log_e_pass: float
    log_e_block: float


class GateState(msgspec.Struct, frozen=True):
    """Counts so far, one row a segment (6 strata + 1 numbers), and the verdict with the evidence it rests on.

    Once final, counts and evidence stay as they were at the decision.
    """

    fingerprint: str
    counts: tuple[tuple[int, ...], ...]
    verdict: Verdict = Verdict.KEEP_GOING
    reason: str = "no decisions yet"
    labels: int = 0
    endpoints: tuple[EndpointEvidence, ...] = ()
    log_e_segments: tuple[float, ...] = ()
    version: int = 1


class Gate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Levels, margins and the stopping rule. The same outcomes at the same steps give the same verdict.

    PASS when every endpoint's e-value against "worse by the margin or more" reaches 1 / `alpha_pass` (each at the full
    level: a model at one margin passes at most so often). BLOCK when the mean of the endpoints' e-values against "not
    worse" reaches 1 / `alpha_block`, or the mean of the segments' e-values against "worse by at most `gross_margin`",
    all endpoints and `segments`, reaches 1 / `alpha_segments`. A mean of e-values is an e-value whatever the
    dependence, and at least as strong as Bonferroni; the reason names the largest, which is not itself tested. An equal
    model is blocked with probability at most alpha_block + alpha_segments, however often it is looked at. BLOCK goes
    before PASS: a small, certain regression within the margin is blocked too unless it has passed before.

    No verdict before `minimum_labels`; UNDECIDED at `maximum_labels`, `maximum_decisions` (on which one acts) or at
    `closes_at` (the unit of `step`'s `at`), whichever is first. It never resets; a new trial is a new state.

    >>> from detectors.launch import outcomes, true_positives
    >>> gate = Gate(endpoints=(Endpoint("true positives", true_positives(), 0.01),), minimum_labels=10)
    >>> worse = outcomes([1] * 40, [0] * 40, violating=[1] * 40)
    >>> state = gate.step(gate.start(), worse)
    >>> state.verdict.value, state.reason
    ('block', 'worse: true positives')
    """

    endpoints: tuple[Endpoint, ...]
    design: Design = Design()
    alpha_pass: float = 0.05
    alpha_block: float = 0.05
    segments: tuple[str, ...] = ("all",)
    gross_margin: float = 0.05
    alpha_segments: float = 0.01
    minimum_labels: int = 30
    maximum_labels: int = 10_000
    maximum_decisions: int | None = None
    closes_at: float | None = None
    alpha_interval: float = 0.05

    def __post_init__(self) -> None:
        convert_fields(self)
        for name in ("alpha_pass", "alpha_block", "alpha_segments", "alpha_interval"):
            require_fraction(name, getattr(self, name))
        if not self.endpoints or not self.segments:
            raise ValueError("gate: needs at least one endpoint and one segment")
        names = [endpoint.name for endpoint in self.endpoints]
        if len(set(names)) < len(names) or len(set(self.segments)) < len(self.segments):
            raise ValueError("gate: names of endpoints and segments must differ")
        for name, margin in [*((e.name, e.margin) for e in self.endpoints), ("gross_margin", self.gross_margin)]:
            if not 0.0 < margin <= self.design.reach:
                raise ValueError(f"margin of {name}: got {margin!r}, allowed is 0 < margin <= {self.design.reach:g}")
        if not 1 <= self.minimum_labels <= self.maximum_labels:
            raise ValueError("labels: allowed is 1 <= minimum_labels <= maximum_labels")
        if self.maximum_decisions is not None and self.maximum_decisions < 1:
            raise ValueError(f"maximum_decisions: got {self.maximum_decisions}, allowed is at least 1")
        if self.closes_at is not None and not math.isfinite(self.closes_at):
            raise ValueError(f"closes_at: got {self.closes_at!r}, allowed are finite numbers")

    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with any parameter."""
        return hashlib.blake2b(msgspec.json.encode(self, order="deterministic"), digest_size=8).hexdigest()

    def start(self) -> GateState:
        """The state before the first decision."""
        row = (0,) * (KINDS * len(self.design.inclusion_probability) + 1)
        return GateState(self.fingerprint(), (row,) * len(self.segments))

    def step(
        self, state: GateState, new: Outcomes, *, segment: str | None = None, at: float | None = None
    ) -> GateState:
        """The state after `new` outcomes of `segment` (the only one, if there is one); unchanged if already final.

        Steps may be of one decision or of many, and parts of a step may be merged before (`Outcomes.__add__`).
        ValueError, for a state of another specification, an unknown segment and outcomes of another shape.
        """
        self._require_own(state)
        if segment is None and len(self.segments) > 1:
            raise ValueError(f"segment: got None, allowed are {', '.join(self.segments)}")
        name = self.segments[0] if segment is None else segment
        if name not in self.segments:
            raise ValueError(f"segment: got {name!r}, allowed are {', '.join(self.segments)}")
        if self.closes_at is not None and (at is None or not math.isfinite(at)):
            raise ValueError(f"at: got {at!r}, allowed is a finite number, since the gate closes at {self.closes_at:g}")
        if new.both.ndim:
            raise ValueError(f"outcomes: got series of shape {new.both.shape}, allowed is one series")
        if state.verdict is not Verdict.KEEP_GOING:
            return state
        sums = _sums(state)
        place = self.segments.index(name)
        added = Outcomes(sums.discordant[place], sums.both[place]) + new
        sums.discordant[place], sums.both[place] = added.discordant, added.both
        return self._judge(sums, at)

    def interval(self, state: GateState, endpoint: str) -> Interval:
        """Confidence sequence of level `alpha_interval` on one endpoint's difference; apart, since it costs more.

        An infinite limit is one about which nothing can be said yet. Raises ValueError for another gate or endpoint.
        """
        self._require_own(state)
        for known in self.endpoints:
            if known.name == endpoint:
                whole = _whole(_sums(state))
                return confidence_sequence(whole, known.contrast, design=self.design, alpha=self.alpha_interval)
        raise ValueError(f"endpoint: got {endpoint!r}, allowed are {', '.join(e.name for e in self.endpoints)}")

    def _require_own(self, state: GateState) -> None:
        if state.fingerprint != self.fingerprint() or state.version != 1:
            raise ValueError(f"state: of another gate ({state.fingerprint}, version {state.version})")

    def _judge(self, sums: Outcomes, at: float | None) -> GateState:
        whole = _whole(sums)
        shown = tuple(self._evidence(endpoint, whole) for endpoint in self.endpoints)
        grossly = np.stack([self._worse(endpoint, sums, self.gross_margin) for endpoint in self.endpoints])
        verdict, reason = self._verdict(whole, shown, grossly, at)
        flat = np.concatenate([sums.discordant.reshape(len(sums.both), -1), sums.both[:, None]], axis=-1)
        return GateState(
            fingerprint=self.fingerprint(),
            counts=tuple(tuple(int(count) for count in row) for row in flat),
            verdict=verdict,
            reason=reason,
            labels=int(whole.labels),
            endpoints=shown,
            log_e_segments=tuple(float(e) for e in _log_mean(grossly, axis=0)),
        )

    def _verdict(
        self, whole: Outcomes, shown: tuple[EndpointEvidence, ...], grossly: Floats, at: float | None
    ) -> tuple[Verdict, str]:
        labels = int(whole.labels)
        if labels >= self.minimum_labels:
            worse = np.array([evidence.log_e_block for evidence in shown])
            if _log_mean(worse, axis=0) >= -math.log(self.alpha_block):
                return Verdict.BLOCK, f"worse: {shown[int(worse.argmax())].name}"
            if len(self.segments) > 1 and _log_mean(grossly.ravel(), axis=0) >= -math.log(self.alpha_segments):
                endpoint, segment = np.unravel_index(int(grossly.argmax()), grossly.shape)
                return Verdict.BLOCK, f"grossly worse: {shown[endpoint].name} of {self.segments[segment]}"
            if all(evidence.log_e_pass >= -math.log(self.alpha_pass) for evidence in shown):
                return Verdict.PASS, "not worse than the margin: " + ", ".join(evidence.name for evidence in shown)
        if labels >= self.maximum_labels:
            return Verdict.UNDECIDED, f"{labels} labels used, allowed were {self.maximum_labels}"
        if self.maximum_decisions is not None and whole.decisions >= self.maximum_decisions:
            return Verdict.UNDECIDED, f"{int(whole.decisions)} decisions seen, allowed were {self.maximum_decisions}"
        if self.closes_at is not None and at is not None and at >= self.closes_at:
            return Verdict.UNDECIDED, f"closed at {self.closes_at:g}"
        if labels < self.minimum_labels:
            return Verdict.KEEP_GOING, f"{labels} labels, at least {self.minimum_labels} are needed"
        return Verdict.KEEP_GOING, "no evidence is strong enough yet"

    def _evidence(self, endpoint: Endpoint, whole: Outcomes) -> EndpointEvidence:
        good = endpoint.contrast.more_is_better
        limit = -endpoint.margin if good else endpoint.margin
        not_worse = log_e_value(whole, endpoint.contrast, design=self.design, difference=limit, above=good)
        return EndpointEvidence(
            name=endpoint.name,
            log_e_pass=float(not_worse),
            log_e_block=float(self._worse(endpoint, whole, 0.0)),
        )

    def _worse(self, endpoint: Endpoint, sums: Outcomes, margin: float) -> Floats:
        good = endpoint.contrast.more_is_better
        limit = -margin if good else margin
        return log_e_value(sums, endpoint.contrast, design=self.design, difference=limit, above=not good)


def _sums(state: GateState) -> Outcomes:
    counts = np.array(state.counts, dtype=np.float64)
    return Outcomes(counts[:, :-1].reshape(len(counts), -1, KINDS), counts[:, -1])


def _whole(segments: Outcomes) -> Outcomes:
    return Outcomes(segments.discordant.sum(axis=0), segments.both.sum(axis=0))


def _log_mean(logs: Floats, *, axis: int) -> Floats:
    mean: Floats = np.logaddexp.reduce(logs, axis=axis) - np.log(logs.shape[axis])
    return mean
