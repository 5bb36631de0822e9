"""Text from events made fit for people and for JSON. What is compared with names of the snapshot must stay as it is."""

from __future__ import annotations

import unicodedata

_REPLACED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Control and formatting characters (they can turn the direction of text or hide it), lone surrogates, private use."""


def printable(text: str) -> str:
    """The text with what cannot be seen shown as U+FFFD, one for one."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("\ufffd" if unicodedata.category(character) in _REPLACED else character for character in text)
