"""River's bytes are read back under the same version, whole, and as one class only."""

import hashlib
import os
import pickle
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import Adwin, StateMismatch
from detectors.river.river_state import RiverState, thaw


def state_of(value: object) -> RiverState:
    """A state whose version and digest are right, so that only what it holds can be refused."""
    data = value if isinstance(value, bytes) else pickle.dumps(value)
    return RiverState(
        version=Adwin().build().snapshot().version, data=data, digest=hashlib.blake2b(data, digest_size=16).digest()
    )


class _Call:
    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def test_another_river_version_is_a_mismatch_that_names_both() -> None:
    state = msgspec.structs.replace(Adwin().build().snapshot(), version="0.21.0")

    with pytest.raises(StateMismatch, match=r"written by 0\.21\.0, this is 0\."):
        thaw(state)


@given(data=st.data())
def test_a_flipped_bit_is_a_mismatch(data: st.DataObject) -> None:
    state = Adwin().build().snapshot()
    bit = data.draw(st.integers(0, 8 * len(state.data) - 1))
    damaged = bytearray(state.data)
    damaged[bit // 8] ^= 1 << bit % 8

    with pytest.raises(StateMismatch, match="damaged"):
        thaw(msgspec.structs.replace(state, data=bytes(damaged)))


@pytest.mark.parametrize("call", [_Call(os.system, "true"), _Call(eval, "1"), _Call(getattr, "a", "upper")])
def test_a_pickle_that_calls_anything_else_is_refused_unrun(call: _Call) -> None:
    with pytest.raises(StateMismatch, match="is not allowed, only"):
        thaw(state_of(call))


@pytest.mark.parametrize("value", [b"", b"abc", b"\x80", pickle.dumps([1, 2]), pickle.dumps({"width": 3})])
def test_bytes_that_hold_something_else_are_a_mismatch(value: bytes) -> None:
    with pytest.raises(StateMismatch):
        thaw(state_of(value))
