"""How many tokens everything has before training's rule cuts it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from penchant.data import Labelled, PreferencePair, prompt_key

__all__ = ["Lengths"]


class Lengths:
    """Told by the tokeniser how long everything was, since training's own rule cuts it afterwards.

    by_part: tokens of prompts, each counted once, of responses by their side or label, and of whole texts.
    """

    def __init__(self, *parts: str) -> None:
        self.by_part: dict[str, list[int]] = {part: [] for part in parts}
        self._prompts: set[bytes] = set()

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
        digest = hashlib.blake2b(prompt_key(record.prompt).encode(), digest_size=16).digest()
        known = digest in self._prompts
        self._prompts.add(digest)
        return not known
