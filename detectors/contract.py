"""What every streaming detector is: a frozen Spec, a Logic that it builds, a State to resume from, and Readings.

A logic never resets itself after an alarm, because that would make the changed data the new baseline unseen. Whoever
holds it decides: go on with it (latch), or replace it by `spec.build()` (restart).
"""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar, Protocol, Self

import msgspec

# Squares and sums of values up to this size stay finite for any stream; one of 1e300 would silently blind a detector.
_LARGEST = 1e100


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What a detector says after one observation; `alarm` is exactly `statistic > threshold`."""

    statistic: float
    threshold: float
    alarm: bool


class StateMismatch(ValueError):  # noqa: N818 - names the situation; the holder discards, counts and warms up again
    """A saved state that this specification or this version of a library must not continue from."""


class Logic(Protocol):
    """A running detector: arithmetic only, no clock, no randomness, bounded memory."""

    def update(self, x: float) -> Reading | None:
        """Take one observation. None while warming up; ValueError, and nothing changed, for one not usable."""

    def snapshot(self) -> Any:
        """An immutable state of the Spec's `state_type`; a logic built from it goes on exactly as this one does."""


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """The parameters of a detector, checked when decoded and when constructed; `kind` says which detector."""

    state_type: ClassVar[type[Any]]

    def __post_init__(self) -> None:
        for field in msgspec.structs.fields(self):
            try:
                msgspec.convert(getattr(self, field.name), field.type)
            except msgspec.ValidationError as error:
                raise ValueError(f"{type(self).__name__}.{field.name}: {error}") from None

    @classmethod
    def example(cls) -> Self:
        """A specification that speaks within a few dozen observations, for tests and documentation."""
        raise NotImplementedError

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

    >>> from detectors.page_hinkley import PageHinkley
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


def require_observation(x: float, *, detector: str) -> None:
    """Raise ValueError, naming detector and value, for NaN, infinity and numbers beyond 1e100.

    >>> require_observation(float("nan"), detector="adwin")
    Traceback (most recent call last):
    ValueError: adwin: got nan, allowed are finite numbers of at most 1e+100 in size
    """
    if not abs(x) <= _LARGEST:
        raise ValueError(f"{detector}: got {x!r}, allowed are finite numbers of at most {_LARGEST:g} in size")
