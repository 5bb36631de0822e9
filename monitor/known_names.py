"""Decisions decoded with the names that are known: the same events as plain decoding gives, in two thirds of the time.

Models, versions, policies and the like have few values. Made into enumerations of a struct, they are decoded without
making a text each, and hash and compare as the one object that they are. A decision with any other name, version or
type is decoded plainly; its names are known from then on. An enumeration's member equals its text and hashes as it, so
that nobody has to tell the two apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final, Literal

import msgspec

from monitor.events import SCHEMA_VERSION, CountedDecision, FeaturedDecision
from monitor.topics import DECISIONS

NAMES: Final = ("model", "model_version", "policy", "language", "region", "surface")
MAXIMUM_NAMES: Final = 1024
"""Names of one field beyond which none is enumerated: with so many, decisions have new ones all the time."""

Decode = Callable[[bytes], Any]

_NAMES_OF: Final = attrgetter(*NAMES)


class KnownNames:
    """`decode` gives an event for a decision with known names and raises msgspec.ValidationError for others.

    `plain` decodes any decision.
    """

    def __init__(self, *, features: bool) -> None:
        self._struct = FeaturedDecision if features else CountedDecision
        self._known: dict[str, set[str]] = {field: set() for field in NAMES}
        self._missed = 0
        """decisions with unknown names since `decode` was made"""
        self.plain: Decode = msgspec.json.Decoder(self._struct).decode
        self.decode: Decode = self.plain
        self._told: Decode = self.plain

    def renewed(self) -> bool:
        """Whether names come as other objects than when this was last asked."""
        before, self._told = self._told, self.decode
        return self._told is not before

    @property
    def begun(self) -> bool:
        """Whether `decode` knows any names: until then it decodes plainly."""
        return self.decode is not self.plain

    def learn(self, events: Sequence[Any]) -> None:
        """Take the names of decisions that had to be decoded plainly.

        They are known once enough decisions would have had use of it: making the enumerations takes a while.
        """
        if not events:
            return
        for field, names in zip(NAMES, zip(*map(_NAMES_OF, events), strict=True), strict=True):
            self._known[field].update(name for name in set(names) if name is not None)
        self._missed += len(events)
        counts = [len(names) for names in self._known.values()]
        if max(counts) > MAXIMUM_NAMES:
            self.decode = self.plain
        elif not self.begun or self._missed >= sum(counts):
            self.decode, self._missed = msgspec.json.Decoder(self._narrowed()).decode, 0

    def _narrowed(self) -> type[msgspec.Struct]:
        """The event's struct, its names and claims restricted to what is known."""
        literal: Any = Literal  # of values that a type checker cannot know
        kinds: dict[str, Any] = {"schema_version": literal[SCHEMA_VERSION], "type": literal[DECISIONS.name]}
        for field, names in self._known.items():
            members = {f"name_{number}": name for number, name in enumerate(sorted(names))}
            kinds[field] = StrEnum(field, members) if names else type(None)
        fields: list[Any] = []
        for told in msgspec.structs.fields(self._struct):
            kind = kinds.get(told.name, told.type)
            fields.append((told.name, kind) if told.required else (told.name, kind | None, told.default))
        return msgspec.defstruct(self._struct.__name__, fields, kw_only=True, frozen=True, gc=False)
