"""YAML as people write it by hand: plain values only, and whatever is wrong with it is one kind of error.

PyYAML's own loaders take the second of two equal keys in silence, and let `2026-99-99`, `!!int abc` or a thousand
brackets out as the errors of Python that they run into.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

MERGE: Final = "tag:yaml.org,2002:merge"
"""Tag of `<<`, which takes over the keys of another mapping."""
INTEGER_BITS: Final = 64
"""No setting is larger, and Python does not write integers of any size as text."""


class InvalidYaml(ValueError):  # noqa: N818 - says what the text is
    """One line with what is wrong and where; never a value, which may be a password."""


def load(text: str) -> Any:
    """The document; None of an empty one. Raises InvalidYaml."""
    try:
        return yaml.load(text, _Strict)  # noqa: S506 - a SafeLoader
    except RecursionError:
        raise InvalidYaml("nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        where = "" if at is None else f", line {at.line + 1}, column {at.column + 1}"
        raise InvalidYaml(": ".join(filter(None, (error.context, error.problem))) + where) from None
    except yaml.YAMLError as error:
        raise InvalidYaml(" ".join(str(error).split())) from None


class _Strict(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        found: set[tuple[str, str]] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.tag != MERGE:
                if (key.tag, key.value) in found:
                    raise yaml.MarkedYAMLError(problem=f"`{key.value}` is there twice", problem_mark=key.start_mark)
                found.add((key.tag, key.value))
        made: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return made

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            return super().construct_object(node, deep=deep)
        kind = node.tag.rpartition(":")[2]
        try:
            made = super().construct_object(node, deep=deep)
        except (ValueError, ArithmeticError, LookupError, AttributeError) as error:
            problem = f"cannot be read as the {kind} that it looks like (text goes in quotes)"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error
        if isinstance(made, int) and made.bit_length() > INTEGER_BITS:
            problem = f"an integer of more than {INTEGER_BITS} bits"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return made
