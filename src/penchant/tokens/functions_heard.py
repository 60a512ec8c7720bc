"""Check that a chat template renders all content of tools and calls; most render complete JSON.

Otherwise, every leaf of a function is replaced by another value: a mark that must occur in the rendering, or else must
change it. This is done once per structure of a function; the leaves of every row are then searched in its rendering.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeAlias

from penchant.tokens.functions import Field, Leaf, functions_of, leaves, rebuilt, spellings, structure, with_function
from penchant.tokens.skeleton import squeezed
from penchant.tokens.words import has_words

__all__ = ["HeardFunctions"]

MOST_REMEMBERED = 4096

Render: TypeAlias = Callable[[str], str | None]
"""The template's rendering for another value of the field; None if it refuses it."""


class HeardFunctions:
    """What is known about one template's rendering of functions."""

    def __init__(self) -> None:
        self._tried: set[Hashable] = set()

    def left_out(self, value: str, field: Field, text: str, begin: int, render: Render, shape: Hashable) -> str | None:
        """A leaf of the functions in the field `value` that the template omits; None if it renders all.

        text: the rendering of `value`, after `begin`. shape: everything else that determines the rendering.
        """
        for place, wholes in enumerate(spellings(value, field)):
            if not _has_one(wholes, text[begin:]):
                one = _Written(value, field, place, text, begin, render)
                leaf = self._never_written(one, shape) or one.not_found()
                if leaf is not None:
                    return leaf.spelt()[0]
        return None

    def _never_written(self, one: _Written, shape: Hashable) -> Leaf | None:
        """A leaf without effect on the rendering, for any function of this structure."""
        known = shape, one.field, one.place, structure(one.function, one.field)
        if known in self._tried:
            return None
        if (leaf := one.without_difference()) is not None:
            return leaf
        if len(self._tried) >= MOST_REMEMBERED:
            self._tried.clear()
        self._tried.add(known)
        return None


@dataclass(frozen=True)
class _Written:
    """One function in a field, and its rendering; see `HeardFunctions.left_out`."""

    value: str
    field: Field
    place: int
    text: str
    begin: int
    render: Render

    @property
    def function(self) -> dict[str, Any]:
        return functions_of(self.value)[self.place]

    def without_difference(self) -> Leaf | None:
        """A leaf whose mark does not occur, and whose change does not change the rendering."""
        with_marks = (self._with(Leaf.marked) or "").casefold()
        for leaf in leaves(self.function, self.field):
            mark = leaf.marked()
            if (mark is leaf.value or str(mark) not in with_marks) and not self._differs(leaf, leaf.other()):
                return leaf
        return None

    def not_found(self) -> Leaf | None:
        """A text with words missing from the rendering, or a number missing in every spelling."""
        said = self.text[self.begin :]
        for leaf in leaves(self.function, self.field):
            if not leaf.is_free or any(has_words(spelt, said) for spelt in leaf.spelt()):
                continue
            if isinstance(leaf.value, str) or not self._differs(leaf, leaf.other()):
                return leaf
        return None

    def _differs(self, leaf: Leaf, other: Any) -> bool:
        return self._with(lambda one: other if one.place == leaf.place else one.value) != self.text

    def _with(self, change: Callable[[Leaf], Any]) -> str | None:
        """The rendering with every leaf replaced by `change`."""
        changed = rebuilt(self.function, self.field, change)
        return self.render(with_function(self.value, self.place, changed))


def _has_one(wholes: tuple[str, ...], text: str) -> bool:
    if any(whole in text for whole in wholes):
        return True
    without_space = squeezed(text)
    return any(squeezed(whole) in without_space for whole in wholes)
