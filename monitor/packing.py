"""Integer arrays as bytes, in the smallest type that holds them: what blocks and checkpoints are written in."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

_TYPES: Final = ("<i1", "<i2", "<i4", "<i8")
_BOUNDS: Final = tuple((code, int(np.iinfo(code).min), int(np.iinfo(code).max)) for code in _TYPES)


class Packed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A one-dimensional integer array: NumPy type code and little-endian bytes."""

    dtype: str
    data: bytes


def pack(values: npt.NDArray[np.integer]) -> Packed:
    """Pack a one-dimensional integer array; equal arrays give equal bytes."""
    if values.size:
        low, high = int(values.min()), int(values.max())
    else:
        low = high = 0
    dtype = next(code for code, least, most in _BOUNDS if least <= low and high <= most)
    return Packed(dtype, values.astype(dtype).tobytes())


def unpack(packed: Packed) -> npt.NDArray[np.int64]:
    """The array that was packed, as int64. ValueError if the type is not one that `pack` writes."""
    if packed.dtype not in _TYPES:
        raise ValueError(f"packed array: expected one of {', '.join(_TYPES)}, got {packed.dtype!r}")
    return np.frombuffer(packed.data, dtype=packed.dtype).astype(np.int64)
