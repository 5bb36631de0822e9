"""HTML that is escaped by construction: text becomes markup only through `tag`, which escapes it."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

from monitor.http.text import printable

_VOID: Final = frozenset({"meta", "link", "br", "hr", "img"})


class Markup(str):
    """Text that is HTML already. Made by `tag` and `joined`, never from data."""

    __slots__ = ()


Child = Markup | str | Iterable["Child"] | None


def tag(element: str, /, *children: Child, **attributes: str | float | None) -> Markup:
    """An element. A trailing underscore of an attribute's name is dropped (`class_`), other underscores become hyphens;
    attributes that are None are left out."""
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_text(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if element in _VOID:
        return Markup(f"<{element}{pairs}>")
    return Markup(f"<{element}{pairs}>{joined(children)}</{element}>")


def joined(children: Child) -> Markup:
    """Children one after the other; text is escaped."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, str):
        return Markup(_text(children))
    return Markup("".join(joined(child) for child in children))


def _text(text: str) -> str:
    return escape(printable(text), quote=True)
