"""A setting that takes a number takes no true or false, which Python, and so pydantic, has as 1 and 0."""

from __future__ import annotations

from typing import Any, get_args

__all__ = ["no_boolean"]


def no_boolean(annotation: Any, value: object) -> object:
    """The value of a setting of this type as it is. Raises ValueError for true or false where a number is asked for.

    Example:
        >>> no_boolean(float | None, 1)
        1
    """
    types = _types(annotation)
    if bool not in types and types & {int, float}:
        inside = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(one, bool) for one in inside):
            raise ValueError("true and false are no numbers; give a number")
    return value


def _types(annotation: Any) -> set[Any]:
    """All types that an annotation is made of."""
    try:
        found = {annotation}
    except TypeError:  # what annotates need not be hashable
        return set()
    return found.union(*map(_types, get_args(annotation)))
