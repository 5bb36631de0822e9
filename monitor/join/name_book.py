"""The names of contexts, numbered: those of all decisions are few, and each is encoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

NAMES_KEPT: Final = 8192
"""Some 2 MB. With more it is begun anew."""


class NameBook:
    """Encoded names, numbered as they are met: `texts[number]`. Of the scanner's names too, which are encoded once."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self._numbers: dict[bytes, int] = {}
        self._scanned: dict[bytes, int] = {}

    def begin_anew_if_full(self) -> None:
        """To be called before numbers are asked for that belong together. Who holds `texts` keeps it as it was."""
        if len(self.texts) >= NAMES_KEPT or len(self._scanned) >= NAMES_KEPT:
            self.texts, self._numbers, self._scanned = [], {}, {}

    def numbers(self, encoded: Iterable[bytes]) -> list[int]:
        """Of encoded names."""
        return [self._number(text) for text in encoded]

    def scanned(self, told: Sequence[bytes], encode: Callable[[bytes], bytes]) -> tuple[list[int], list[int]]:
        """Of names as the scanner joins them, and the places of those that are empty, whose number means nothing."""
        known = self._scanned
        numbers = list(map(known.get, told))
        empty = []
        for place, number in enumerate(numbers) if None in numbers else ():
            if number is not None:
                continue
            names = told[place]
            if names and names not in known:
                known[names] = self._number(encode(names))
            elif not names:
                empty.append(place)
            numbers[place] = known.get(names, 0)
        return numbers, empty  # type: ignore[return-value]  # no None is left

    def _number(self, text: bytes) -> int:
        number = self._numbers.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(text)
        return number
