"""What every streaming detector is: a frozen Spec, a Logic that it builds, a State to resume from, and Readings.

A logic never resets itself after an alarm, because that would make the changed data the new baseline unseen. Whoever
holds it decides: go on with it (latch), or replace it by `spec.build()` (restart).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final, Literal, Protocol, Self

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.arrays import LARGEST, Bools, Floats
from detectors.parameters import convert_fields

MOST: Final = 1e9
"""The greatest count: times the whole steps of any chart it stays exact; sums of these end at a ceiling."""


class Domain(StrEnum):
    """Which observations a detector is made for."""

    REAL = "real"
    """finite numbers of at most 1e100 in size"""
    UNIT = "unit"
    """numbers within [0, 1]: shares, scores"""
    BINARY = "binary"
    """0 and 1: single verdicts"""
    COUNT = "count"
    """whole numbers from 0 to 1e9: events of equal intervals"""

    @property
    def allowed(self) -> str:
        """The observations in words, for messages."""
        return _ALLOWED[self]


_ALLOWED = {
    Domain.REAL: f"finite numbers of at most {LARGEST:g} in size",
    Domain.UNIT: "numbers within [0, 1]",
    Domain.BINARY: "0 and 1",
    Domain.COUNT: f"whole numbers from 0 to {MOST:g}",
}


class Direction(StrEnum):
    """Which way the level of a series may move."""

    RISE = "rise"
    FALL = "fall"


BOTH: frozenset[Direction] = frozenset(Direction)


Sides = Literal["rise", "fall", "both"]
"""The parameter of a detector that says which moves it looks for."""


def directions_of(direction: Sides) -> frozenset[Direction]:
    """The moves that such a parameter names.

    >>> sorted(directions_of("both")), sorted(directions_of("fall"))
    ([<Direction.FALL: 'fall'>, <Direction.RISE: 'rise'>], [<Direction.FALL: 'fall'>])
    """
    return BOTH if direction == "both" else frozenset({Direction(direction)})


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What a detector says after one observation; `alarm` is exactly `statistic > threshold`."""

    statistic: float
    threshold: float
    alarm: bool


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What a detector says after each of n observations; arrays of shape (n,).

    `statistic` and `threshold` are NaN, and `alarm` is False, where `update` says None.
    """

    statistic: Floats
    threshold: Floats
    alarm: Bools


class StateMismatch(ValueError):  # noqa: N818 - names the situation; the holder discards, counts and warms up again
    """A saved state that this specification or this version of a library must not continue from."""


class Logic(Protocol):
    """A running detector: arithmetic only, no clock, no randomness, bounded memory."""

    def update(self, x: float) -> Reading | None:
        """Take one observation. None while warming up; ValueError, and nothing changed, for one not usable."""

    def update_many(self, x: npt.ArrayLike) -> Readings:
        """Take observations of shape (n,), oldest first: what `update` says of one after the other.

        Statistics equal those of `update` to rounding. ValueError, and nothing changed, if any is not usable.
        """

    def snapshot(self) -> Any:
        """An immutable state of the Spec's `state_type`; a logic built from it goes on exactly as this one does."""


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """The parameters of a detector, checked when decoded and when constructed; `kind` says which detector."""

    state_type: ClassVar[type[Any]]
    domain: ClassVar[Domain] = Domain.REAL

    def __post_init__(self) -> None:
        convert_fields(self)

    @classmethod
    def example(cls) -> Self:
        """A specification for a series around .5, for tests and documentation.

        It speaks within 50 observations and is quiet on values of mean .5 and standard deviation .05 (single verdicts
        with a share of .5, where the domain is binary; Poisson counts with 20 times the level as mean, where it is
        counts); a level of .9 or .1 is an alarm if it moves in a direction of `directions`.
        """
        raise NotImplementedError

    @property
    def directions(self) -> frozenset[Direction]:
        """The moves of the level that it can see; to others it is blind."""
        return BOTH

    def build(self, state: Any = None) -> Logic:
        """A logic that starts afresh, or goes on from `state`; StateMismatch where that is not possible."""
        raise NotImplementedError

    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with the kind and with any parameter."""
        return hashlib.blake2b(msgspec.json.encode(self, order="deterministic"), digest_size=8).hexdigest()


class _Saved(msgspec.Struct, frozen=True, array_like=True):
    fingerprint: str
    state: msgspec.Raw


def save(spec: Spec, logic: Logic) -> bytes:
    """The state of `logic`, with the fingerprint of the `spec` that built it, as bytes for a checkpoint."""
    state = msgspec.Raw(msgspec.msgpack.encode(logic.snapshot()))
    return msgspec.msgpack.encode(_Saved(fingerprint=spec.fingerprint(), state=state))


def resume(spec: Spec, saved: bytes) -> Logic:
    """The logic that `save` saw. StateMismatch for other parameters, another library version or unreadable bytes.

    >>> from detectors.charts import PageHinkley
    >>> spec = PageHinkley.example()
    >>> logic = spec.build()
    >>> for x in [0.5] * 50:
    ...     reading = logic.update(x)
    >>> resume(spec, save(spec, logic)).update(0.9) == logic.update(0.9)
    True
    """
    kind = type(spec).__name__
    try:
        found = msgspec.msgpack.decode(saved, type=_Saved)
        state = msgspec.msgpack.decode(found.state, type=spec.state_type)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateMismatch(f"resuming {kind}: unreadable state ({error})") from error
    if found.fingerprint != spec.fingerprint():
        raise StateMismatch(f"resuming {kind}: saved with other parameters (fingerprint {found.fingerprint})")
    return spec.build(state)


def require_observation(x: float, spec: type[Spec]) -> None:
    """Raise ValueError, naming detector and value, for an observation outside the domain of `spec`.

    >>> from detectors.river import Adwin
    >>> require_observation(float("nan"), Adwin)
    Traceback (most recent call last):
    ValueError: adwin: got nan, allowed are finite numbers of at most 1e+100 in size
    """
    if not _usable(x, spec.domain):
        raise ValueError(f"{_kind(spec)}: got {x!r}, allowed are {spec.domain.allowed}")


def require_observations(x: npt.ArrayLike, spec: type[Spec]) -> Floats:
    """Observations as an array of shape (n,); ValueError, naming detector, value and position, for one not usable.

    >>> from detectors.river import Adwin
    >>> require_observations([0.5, float("inf")], Adwin)
    Traceback (most recent call last):
    ValueError: adwin: got inf at position 1, allowed are finite numbers of at most 1e+100 in size
    """
    values = np.asarray(x, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"{_kind(spec)}: got an array of shape {values.shape}, allowed is (n,)")
    usable = _usable_all(values, spec.domain)
    if not usable.all():
        place = int(np.argmin(usable))
        raise ValueError(
            f"{_kind(spec)}: got {values[place].item()!r} at position {place}, allowed are {spec.domain.allowed}"
        )
    return values


def one_by_one(logic: Logic, values: Iterable[float]) -> Readings:
    """`update_many` for a logic whose mathematics knows only single steps. `values` must have been checked before.

    >>> from detectors.river import Adwin
    >>> one_by_one(Adwin.example().build(), [0.5] * 12).statistic[[0, -1]].tolist()
    [nan, 0.0]
    """
    found = [logic.update(value) for value in values]
    told = [(np.nan, np.nan, False) if reading is None else msgspec.structs.astuple(reading) for reading in found]
    statistic, threshold, alarm = zip(*told, strict=True) if told else ((), (), ())
    return Readings(
        statistic=np.array(statistic, dtype=np.float64),
        threshold=np.array(threshold, dtype=np.float64),
        alarm=np.array(alarm, dtype=np.bool_),
    )


def _usable(x: float, domain: Domain) -> bool:
    if domain is Domain.REAL:
        return abs(x) <= LARGEST
    if domain is Domain.COUNT:
        return 0.0 <= x <= MOST and x == int(x)
    return 0.0 <= x <= 1.0 if domain is Domain.UNIT else x in (0, 1)


def _usable_all(x: Floats, domain: Domain) -> Bools:
    if domain is Domain.REAL:
        usable: Bools = np.abs(x) <= LARGEST
        return usable
    if domain is Domain.COUNT:
        whole: Bools = (x >= 0.0) & (x <= MOST) & (np.floor(x) == x)
        return whole
    return (x >= 0.0) & (x <= 1.0) if domain is Domain.UNIT else (x == 0.0) | (x == 1.0)


def _kind(spec: type[Spec]) -> str:
    return str(spec.__struct_config__.tag)
