"""Refuse true and false for numeric settings, which Python and pydantic would accept as 1 and 0."""

from __future__ import annotations

from typing import Any, get_args

__all__ = ["no_boolean"]


def no_boolean(annotation: Any, value: object) -> object:
    """Return the value of a setting of this type. Raises ValueError for true or false if a number is expected.

    Example:
        >>> no_boolean(float | None, 1)
        1
    """
    types = _types(annotation)
    if bool not in types and types & {int, float}:
        inside = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(one, bool) for one in inside):
            raise ValueError("a number is needed, not true or false")
    return value


def _types(annotation: Any) -> set[Any]:
    """All types in an annotation."""
    try:
        found = {annotation}
    except TypeError:  # what annotates need not be hashable
        return set()
    return found.union(*map(_types, get_args(annotation)))
