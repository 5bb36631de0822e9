"""River's detectors under the contract of this library, as they were measured."""

from detectors.river.adwin import Adwin

__all__ = [
    "Adwin",
]
