"""Integer arrays as bytes: packed, in the smallest type that holds them, as blocks are written; or
compressed, a fifth of that for what is held in thousands and seldom looked at, and for checkpoints of it.
"""

from __future__ import annotations

from typing import Final

import cramjam
import msgspec
import numpy as np
import numpy.typing as npt

_TYPES: Final = ("<i1", "<i2", "<i4", "<i8")
_BOUNDS: Final = tuple((code, int(np.iinfo(code).min), int(np.iinfo(code).max)) for code in _TYPES)

_LEVEL: Final = 1
"""Of Zstandard: higher ones save a fiftieth and take a third longer."""


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
    _require_known(packed.dtype)
    return np.frombuffer(packed.data, dtype=packed.dtype).astype(np.int64)


class Compressed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Integer arrays of one length: their NumPy type codes; compressed, the first bytes of each array, its second bytes
    and so on.

    Bytes of one significance are alike: most numbers of an array are small, and one large one makes all of them wide.
    """

    dtypes: tuple[str, ...]
    data: bytes


def compress(*arrays: npt.NDArray[np.integer]) -> Compressed:
    """Compress one-dimensional integer arrays of one length."""
    packed = [pack(values) for values in arrays]
    planes = b"".join(
        np.frombuffer(one.data, dtype=np.uint8).reshape(len(values), np.dtype(one.dtype).itemsize).T.tobytes()
        for one, values in zip(packed, arrays, strict=True)
    )
    return Compressed(tuple(one.dtype for one in packed), bytes(cramjam.zstd.compress(planes, _LEVEL)))


def expand(compressed: Compressed) -> list[npt.NDArray[np.int64]]:
    """The arrays that were compressed, as int64. ValueError if these cannot be such arrays."""
    _require_known(*compressed.dtypes)
    try:
        planes = np.frombuffer(bytes(cramjam.zstd.decompress(compressed.data)), dtype=np.uint8)
    except cramjam.DecompressionError as error:
        raise ValueError(f"compressed arrays: {error}") from error
    sizes = [np.dtype(dtype).itemsize for dtype in compressed.dtypes]
    parts = planes.reshape(sum(sizes), -1) if planes.size else np.empty((sum(sizes), 0), dtype=np.uint8)
    ends = np.cumsum(sizes).tolist()
    return [
        np.frombuffer(parts[end - size : end].T.tobytes(), dtype=dtype).astype(np.int64)
        for dtype, size, end in zip(compressed.dtypes, sizes, ends, strict=True)
    ]


def _require_known(*dtypes: str) -> None:
    for dtype in dtypes:
        if dtype not in _TYPES:
            raise ValueError(f"packed array: expected one of {', '.join(_TYPES)}, got {dtype!r}")
