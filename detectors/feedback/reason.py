"""Why a corrected quantity is not to be used. Arrays of results carry these as small integers."""

from __future__ import annotations

from enum import IntEnum


class Reason(IntEnum):
    """VALID is the only value with which the number next to it may be reported."""

    VALID = 0
    NO_DATA = 1
    """Nothing was counted."""
    NOT_IDENTIFIED = 2
    """Reviewers or the classifier hardly tell the classes apart: no estimate (NaN)."""
    OUT_OF_RANGE = 3
    """The estimate lies outside [0, 1]: error rates, or the assumption that they still hold, are wrong."""
