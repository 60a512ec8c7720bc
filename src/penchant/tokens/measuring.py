"""Record token lengths before truncation."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from penchant.data import Labelled, Origin, PreferencePair, prompt_identity
from penchant.data.seen import Seen

__all__ = ["Lengths"]

ANYWHERE = Origin(file="", line=1)


class Lengths:
    """Records lengths during encoding, before truncation.

    by_part: tokens of prompts, each counted once, of responses by their side or label, and of whole texts.
    """

    def __init__(self, *parts: str) -> None:
        self.by_part = {part: array("q") for part in parts}
        self._prompts = Seen()

    def add(self, record: PreferencePair | Labelled, ids: Sequence[Sequence[int]]) -> None:
        """The ids of the record's prompt and responses, as many of them as could be encoded."""
        names = {True: "good", False: "bad"}
        sides = [names[record.desirable]] if isinstance(record, Labelled) else ["chosen", "rejected"]
        if ids and self._is_new(record):
            self.by_part["prompt"].append(len(ids[0]))
        for name, response in zip(sides, ids[1:], strict=False):
            self.by_part[name].append(len(response))

    def add_text(self, length: int) -> None:
        """The tokens of a document, or of a conversation's sequence."""
        self.by_part["text"].append(length)

    def _is_new(self, record: PreferencePair | Labelled) -> bool:
        return self._prompts.remember(prompt_identity(record.prompt), ANYWHERE) is None
