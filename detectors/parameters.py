"""Specifications whose numbers are of the declared types, whoever wrote them and how."""

from __future__ import annotations

from typing import Any

import msgspec


def convert_fields(spec: msgspec.Struct) -> None:
    """Bring every field to its declared type, in the `__post_init__` of a frozen struct.

    A whole number where a float is declared becomes one, and numbers of NumPy become Python's: specifications that are
    equal are encoded alike, so a saved state finds its own again. ValueError names class and field of what does not
    fit.
    """
    for field in msgspec.structs.fields(spec):
        try:
            plain = msgspec.to_builtins(getattr(spec, field.name), enc_hook=_item)
            msgspec.structs.force_setattr(spec, field.name, msgspec.convert(plain, field.type))
        except (msgspec.ValidationError, TypeError) as error:
            raise ValueError(f"{type(spec).__name__}.{field.name}: {error}") from None


def _item(number: Any) -> Any:
    """A number of NumPy as one of Python."""
    if not hasattr(number, "item"):
        raise TypeError(f"got {type(number).__name__}, allowed are numbers and text")
    return number.item()
