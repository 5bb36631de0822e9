"""River's ADWIN window as bytes and back, for checkpoints.

The bytes are a pickle, so they are read by an unpickler that knows this one class and nothing else, and only under the
River version that wrote them: River has moved the class between modules before.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from typing import Any

import msgspec
import river
from river._river_rust.drift import AdaptiveWindowing

from detectors.contract import StateMismatch

_MODULE, _NAME = "river._river_rust.drift", "AdaptiveWindowing"


class RiverState(msgspec.Struct, frozen=True):
    """River's own bytes, the version that wrote them and their BLAKE2b digest.

    The digest stands because River's extension does not raise on damaged bytes: it panics, past any `except Exception`.
    """

    version: str
    data: bytes
    digest: bytes


class _OneClass(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) != (_MODULE, _NAME):
            raise pickle.UnpicklingError(f"class {module}.{name} is not allowed, only {_MODULE}.{_NAME}")
        return AdaptiveWindowing


def freeze(window: Any) -> RiverState:
    """The state of an `AdaptiveWindowing`; equal windows give equal bytes."""
    data = pickle.dumps(window, protocol=4)
    return RiverState(version=river.__version__, data=data, digest=_digest(data))


def thaw(state: RiverState) -> Any:
    """The `AdaptiveWindowing` that `freeze` saw. Raises StateMismatch for another River version or foreign bytes.

    >>> thaw(freeze(AdaptiveWindowing(0.002, 1, 5, 5, 10))).get_width()
    0.0
    """
    if state.version != river.__version__:
        raise StateMismatch(f"reading River state: written by {state.version}, this is {river.__version__}")
    if state.digest != _digest(state.data):
        raise StateMismatch("reading River state: damaged, the digest does not match the bytes")
    try:
        window = _OneClass(io.BytesIO(state.data)).load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise StateMismatch(f"reading River state: {error}") from error
    if not isinstance(window, AdaptiveWindowing):
        raise StateMismatch(f"reading River state: found {type(window).__name__}, allowed is {_NAME}")
    return window


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
