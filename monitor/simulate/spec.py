"""What the parts of a scenario have in common: frozen, keyword-only, and an unknown key is an error.

Names end up inside JSON templates and metric labels without escaping, so their pattern is enforced here.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from monitor.events import MAX_NAME_LENGTH, NAME_PATTERN

Label = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH, pattern=NAME_PATTERN)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Logit = Annotated[float, Meta(ge=-1000.0, le=1000.0)]
"""Bounds refuse NaN as well, of which no score can be made."""
Shares = dict[Label, Annotated[float, Meta(gt=0.0)]]
"""Name -> relative weight; the weights need not add up to one."""

DIMENSIONS = ("policy", "language", "region", "surface")
"""The segment dimensions that vary within one model's traffic."""


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every part of a scenario."""


def check_dimensions(where: dict[str, str]) -> None:
    """Raise ValueError if a segment selector names a dimension that traffic does not have."""
    for dimension in where:
        if dimension not in DIMENSIONS:
            raise ValueError(f"unknown dimension {dimension!r}, allowed: {', '.join(DIMENSIONS)}")
