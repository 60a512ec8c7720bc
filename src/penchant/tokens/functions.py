"""The content of tools and calls, leaf by leaf, and the spellings in which a chat template may render it.

A leaf is a text, a number, true, false or null of a function's schema or of a call's arguments, or a name given by the
row: that of a parameter or of an argument. Keywords of a schema are no leaves.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias

__all__ = [
    "Field",
    "Leaf",
    "function_of",
    "functions_of",
    "leaves",
    "rebuilt",
    "spellings",
    "structure",
    "with_function",
]

Field: TypeAlias = Literal["tools", "tool_calls"]

NAMING = frozenset(("properties", "patternProperties", "$defs", "definitions"))
"""Keywords of a JSON schema whose keys are names given by the row."""
NOTES = frozenset(("strict", "additionalProperties", "$schema", "title"))
"""Keywords for validating a call rather than for making one."""


@dataclass(frozen=True)
class Leaf:
    """One leaf. place: its index in the function. keyword: that of a schema whose value it is, "" for none."""

    place: int
    value: Any
    keyword: str = ""

    @property
    def is_free(self) -> bool:
        """Whether any value is possible, as for a description, rather than one of few words, as for a type."""
        return _is_text_or_number(self.value) and self.keyword != "type"

    def other(self) -> Any:
        """A possible alternative value."""
        match self.value:
            case bool():
                return not self.value
            case str() if self.keyword == "type":
                return "boolean" if self.value != "boolean" else "string"
            case str():
                return f"{self.value}~"
            case int() | float():
                return self.value + 1 if self.value + 1 != self.value else 0
        return "" if self.value is None else 1

    def marked(self) -> Any:
        """A unique value of its kind; itself if there are few values of its kind."""
        mark = 774_100_077 + 1000 * self.place
        if not _is_text_or_number(self.value):
            return self.value
        return f"zq{mark}qz" if isinstance(self.value, str) else mark

    def spelt(self) -> tuple[str, ...]:
        """Its spellings in JSON and in Python; a template uses one of them."""
        return (self.value,) if isinstance(self.value, str) else (json.dumps(self.value), str(self.value))


def _is_text_or_number(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def function_of(one: dict[str, Any]) -> dict[str, Any]:
    """The function of a tool or of a call."""
    function = one.get("function", one)
    return function if isinstance(function, dict) else {}


@lru_cache(maxsize=256)
def functions_of(value: str) -> tuple[dict[str, Any], ...]:
    """The functions of a message's field, which is JSON text; they are not to be changed."""
    return tuple(map(function_of, json.loads(value)))


@lru_cache(maxsize=256)
def spellings(value: str, field: Field) -> tuple[tuple[str, ...], ...]:
    """For each function, complete spellings of it, or of a call's arguments, which contain every leaf."""
    wholes = [one if field == "tools" else one.get("arguments") for one in functions_of(value)]
    return tuple(
        (json.dumps(whole, ensure_ascii=False), json.dumps(whole), str(whole)) if isinstance(whole, dict) else ()
        for whole in wholes
    )


def with_function(value: str, index: int, function: dict[str, Any]) -> str:
    """The field with another function in place of number `index`."""
    ones = json.loads(value)
    ones[index] = ones[index] | {"function": function} if "function" in ones[index] else function
    return json.dumps(ones, ensure_ascii=False)


def leaves(function: dict[str, Any], field: Field) -> list[Leaf]:
    """All leaves of the function, in order."""
    found: list[Leaf] = []

    def keep(leaf: Leaf) -> Any:
        found.append(leaf)
        return leaf.value

    rebuilt(function, field, keep)
    return found


def structure(function: dict[str, Any], field: Field) -> str:
    """The structure of the function, independent of its texts and numbers, which determines its rendering."""
    kinds = _Rebuilding(lambda leaf: type(leaf.value).__name__ if leaf.is_free else leaf.value, has_names=False)
    return json.dumps(kinds.function(function, field), ensure_ascii=False)


def rebuilt(function: dict[str, Any], field: Field, change: Callable[[Leaf], Any]) -> dict[str, Any]:
    """The function with every leaf replaced by `change`."""
    return _Rebuilding(change, has_names=True).function(function, field)


class _Rebuilding:
    """Traverses one function. has_names: whether names given by the row are leaves too."""

    def __init__(self, change: Callable[[Leaf], Any], *, has_names: bool) -> None:
        self._change = change
        self._has_names = has_names
        self._num_leaves = 0

    def function(self, function: dict[str, Any], field: Field) -> dict[str, Any]:
        if field == "tools":  # `type` is what OpenAI calls all of them
            return {
                key: value if _is_note(key, value) or key == "type" else self._schema(value, key, key == "parameters")
                for key, value in function.items()
            }
        return {
            key: self._argument(value) if key == "arguments" and value else value for key, value in function.items()
        }

    def _schema(self, value: Any, keyword: str, is_root: bool = False) -> Any:
        """What a JSON schema says to who calls the function; the type of what has parameters is implied."""
        if isinstance(value, list):
            return [self._schema(inner, keyword) for inner in value]
        if not isinstance(value, dict):
            return self._leaf(value, keyword)
        if keyword in NAMING:
            return {self._name(name): self._schema(inner, "") for name, inner in value.items()}
        is_implied = is_root or "properties" in value
        return {
            key: inner if _is_note(key, inner) or (is_implied and key == "type") else self._schema(inner, key)
            for key, inner in value.items()
        }

    def _argument(self, value: Any) -> Any:
        if isinstance(value, dict) and value:
            return {self._name(name): self._argument(inner) for name, inner in value.items()}
        return [self._argument(inner) for inner in value] if isinstance(value, list) and value else self._leaf(value)

    def _name(self, name: str) -> str:
        return str(self._leaf(name)) if self._has_names else name

    def _leaf(self, value: Any, keyword: str = "") -> Any:
        self._num_leaves += 1
        return self._change(Leaf(self._num_leaves, value, keyword))


def _is_note(keyword: str, value: Any) -> bool:
    """Whether it is only for validating a call, or absent, as null in a table's columns."""
    return value is None or (keyword in NOTES and not isinstance(value, dict | list))
