"""The default random numbers of R, so that published runs of R programs can be repeated.

The Mersenne Twister with R's own seeding, and normal numbers by inversion of a 53-bit uniform number made of two draws.
"""

from typing import Final

import numpy as np
import scipy

from detectors.arrays import Floats

_WORDS: Final = 624
_SCRAMBLED: Final = 50
_LEADING: Final = 2.0**27
_SMALLEST: Final = 0.5 * 2.328306437080797e-10


class RRandom:
    """What R draws after set.seed(seed)."""

    def __init__(self, seed: int) -> None:
        word = seed
        words = []
        for _ in range(_SCRAMBLED + 1 + _WORDS):
            word = (69069 * word + 1) % 2**32
            words.append(word)
        self._bits = np.random.MT19937()
        self._bits.state = {
            "bit_generator": "MT19937",
            # One word goes to the position, which R then sets to the end of the state.
            "state": {"key": np.array(words[-_WORDS:], dtype=np.uint32), "pos": _WORDS},
        }

    def runif(self, n: int) -> Floats:
        """Uniform in (0, 1)."""
        return np.clip(self._bits.random_raw(n) * 2.3283064365386963e-10, _SMALLEST, 1.0 - _SMALLEST)

    def rnorm(self, n: int, *, deviation: float = 1.0) -> Floats:
        """Normal with mean 0."""
        pairs = self.runif(2 * n).reshape(n, 2)
        uniform = (np.floor(_LEADING * pairs[:, 0]) + pairs[:, 1]) / _LEADING
        return np.asarray(deviation * scipy.special.ndtri(uniform))
