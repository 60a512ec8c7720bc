"""Tokenise rendered texts piece by piece, or many at once with the fast tokenizer, with the same ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from penchant.tokens.refusals import BoundaryError
from penchant.tokens.template import Tokenizer

__all__ = ["Encoded", "Piece", "PieceEncoder", "Split"]

Manner = Literal["as written", "opened", "continuing", "spelt", "spelt on"]
"""How a piece is read: as it stands; with the tokenizer's own special tokens around it; as what goes on behind a text;
or as characters, where it spells a special token, at the beginning of a text or behind one."""

Piece = tuple[Manner, str]
Encoded = list[int] | BoundaryError


class HasIds(Protocol):
    """A tokenised piece, whose ids are converted to Python on access."""

    @property
    def ids(self) -> list[int]: ...


class _Ids(NamedTuple):
    ids: list[int]


Split = dict[Manner, Sequence[HasIds]]
"""Pieces of many texts by what the tokenizer is told of them, see OPTIONS, each kind in the order of the texts."""


OPTIONS: dict[Manner, dict[str, bool]] = {
    "as written": {"add_special_tokens": False},
    "opened": {"add_special_tokens": True},
    "spelt": {"add_special_tokens": False, "split_special_tokens": True},
}
GOES_ON: dict[Manner, Manner] = {"continuing": "as written", "spelt on": "spelt"}
"""Continuations, before which a tokenizer must not add anything, and how each is read otherwise."""
PROBES = ("Hello there", " two  spaces\n\n", "\tÉté, naïve: 天气 ☀️ e\u0301", "x" * 40 + "<|y|>", "ＡＢ１ fi", "")
"""Texts on which the fast tokenizer must agree with its wrapper before it is used directly."""


class PieceEncoder:
    """Pieces of text to ids, for one tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._glue = self._find_glue()
        self._opening = self._one("as written", self._glue) if self._glue else []
        self._agrees: dict[Manner, bool] = {}

    def encode(self, texts: Sequence[Sequence[Piece]]) -> list[Encoded]:
        """The ids of each text, concatenated over its pieces, or its error."""
        return self.joined(texts, self.split(texts))

    def split(self, texts: Sequence[Sequence[Piece]]) -> Split:
        """The tokenizer's part of `encode`, which a fast one runs almost entirely outside Python."""
        found: Split = {}
        for manner in OPTIONS:
            of_manner = [
                self._glue + text if how in GOES_ON else text
                for pieces in texts
                for how, text in pieces
                if GOES_ON.get(how, how) == manner
            ]
            found[manner] = self._many(manner, of_manner)
        return found

    def joined(self, texts: Sequence[Sequence[Piece]], split: Split) -> list[Encoded]:
        """The rest of `encode`: the ids from the result of `split`."""
        queues = {manner: iter(pieces) for manner, pieces in split.items()}
        return [self._joined((how, next(queues[GOES_ON.get(how, how)]).ids) for how, _ in pieces) for pieces in texts]

    def _joined(self, pieces: Iterable[tuple[Manner, list[int]]]) -> Encoded:
        joined: list[int] = []
        is_merged = False
        for how, ids in pieces:  # to the end, as each takes its own
            start = len(self._opening) if how in GOES_ON else 0
            is_merged |= ids[:start] != self._opening[:start]
            joined = [*joined, *ids[start:]] if joined else ids[start:]
        if is_merged:
            return BoundaryError("the tokenizer merges the prompt's last character with the response's first")
        return joined

    def _one(self, manner: Manner, text: str) -> list[int]:
        return self._tokenizer.encode(text, **OPTIONS[manner])

    def _many(self, manner: Manner, texts: Sequence[str]) -> Sequence[HasIds]:
        """The tokens of each text; in one call if the tokenizer is fast and needs no wrapper."""
        fast: Any = getattr(self._tokenizer, "backend_tokenizer", None)
        if fast is None or len(texts) < 2 or not self._is_enough(fast, manner):
            return [_Ids(self._one(manner, text)) for text in texts]
        self._one(
            manner, texts[0]
        )  # sets the fast one up: its truncation, its padding, what it does with special tokens
        return _at_once(fast, manner, texts)

    def _is_enough(self, fast: Any, manner: Manner) -> bool:
        if manner not in self._agrees:
            found = [one.ids for one in _at_once(fast, manner, PROBES)]
            self._agrees[manner] = [self._one(manner, text) for text in PROBES] == found
        return self._agrees[manner]

    def _find_glue(self) -> str:
        """Text to put before a continuation so that the tokenizer does not treat it as the beginning of a text.

        SentencePiece tokenizers write a space before every text; behind a newline they do not.
        """
        joined = [*self._one("as written", "x"), *self._one("as written", "y")]
        return "" if self._tokenizer.decode(joined, skip_special_tokens=True).strip() == "xy" else "\n"


def _at_once(fast: Any, manner: Manner, texts: Sequence[str]) -> Sequence[HasIds]:
    # the offsets of tokens in the text are left out, which takes a quarter less
    found: Sequence[HasIds] = fast.encode_batch_fast(
        list(texts), add_special_tokens=OPTIONS[manner]["add_special_tokens"]
    )
    return found
