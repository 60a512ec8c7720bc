"""Find problems in encoded texts: end tokens, special tokens, lengths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.tokens.demonstrations import EncodedExample
from penchant.tokens.encoding import ChatEncoder
from penchant.tokens.forest import TokenSequence
from penchant.tokens.labelled_responses import EncodedLabelled
from penchant.tokens.pairs import EncodedPair, Limits
from penchant.tokens.shown import scored_runs

__all__ = ["Remark", "TokenFaults", "length_remarks"]

LONGER = 1.2
"""Chosen responses this much longer than rejected ones are reported."""


@dataclass(frozen=True)
class Remark:
    """A problem or tendency of the tokens: the number of sequences, and the first place (None if not of a row)."""

    code: str
    text: str
    count: int
    first: str | None


class TokenFaults:
    """Counts every kind of problem in a stream of items, with the first occurrence."""

    def __init__(self, encoder: ChatEncoder, limits: Limits) -> None:
        self._encoder, self._limits = encoder, limits
        special = _special_ids(encoder)
        self._is_special = np.zeros(max(special, default=-1) + 2, dtype=np.bool_)  # the last for all ids above
        self._is_special[[*special]] = True
        self._bos = encoder.tokenizer.bos_token_id  # cached, as a tokenizer looks it up each time
        self._found: dict[str, tuple[int, str]] = {}
        self._inside: Counter[int] = Counter()

    def add(self, item: EncodedPair | EncodedLabelled | EncodedExample) -> None:
        """Check a further item."""
        for sequence in item.sequences:
            for code in self._codes(sequence):
                number, first = self._found.get(code) or (0, str(item.origin))
                self._found[code] = number + 1, first

    def remarks(self) -> Iterator[Remark]:
        """The findings so far."""
        decode = self._encoder.tokenizer.decode
        shown = ", ".join(repr(decode([i], skip_special_tokens=False)) for i, _ in self._inside.most_common(3))
        texts = {
            "double_bos": "begin with the beginning-of-text token twice; the template writes it and the tokenizer adds "
            "it",
            "double_end": "end with two end tokens; remove the one that is written in the response's text",
            "special_inside": f"hold a special token inside the text that is scored ({shown}); remove it from the text",
            "missing_end": "do not end with an end token, so the model cannot learn to stop; check the "
            "tokenizer's eos_token and the chat template",
        }
        for code, (number, first) in self._found.items():
            yield Remark(code, texts[code], number, first)

    def _codes(self, sequence: TokenSequence) -> set[str]:
        """The codes of problems in one sequence; misplaced special tokens are counted."""
        codes = set()
        end_ids = self._encoder.end_ids
        if self._bos is not None and sequence.ids[:2].tolist() == [self._bos, self._bos]:
            codes.add("double_bos")
        runs = (ids for scored, ids in scored_runs(sequence) if scored)
        for ids in runs:
            ends_well = int(ids[-1]) in end_ids
            body = ids[: -1 if ends_well else None]
            if ends_well and len(body) and int(body[-1]) in end_ids:
                codes.add("double_end")
            elif (is_special := self._is_special.take(body, mode="clip")).any():
                codes.add("special_inside")
                self._inside.update(body[is_special].tolist())
            if not ends_well and len(sequence) < self._limits.max_length:
                codes.add("missing_end")
        return codes


def length_remarks(lengths: Mapping[str, Sequence[int]], encoder: ChatEncoder) -> Iterator[Remark]:
    """Remarks on the tokenizer and on the lengths of chosen and rejected responses."""
    pad = getattr(encoder.tokenizer, "pad_token_id", None)
    if pad is not None and pad == encoder.tokenizer.eos_token_id:
        text = "the pad token is the end token; Penchant never pads, but trainers that mask pad tokens never teach it"
        yield Remark("pad_is_eos", text, 0, None)
    if lengths.get("chosen") and lengths.get("rejected"):
        ratio = float(np.mean(lengths["chosen"]) / np.mean(lengths["rejected"]))
        if not 1 / LONGER <= ratio <= LONGER:
            text = (
                f"chosen responses have {ratio:.2f} times the tokens of rejected ones; the model may learn length alone"
            )
            yield Remark("length_gap", text, 0, None)


def _special_ids(encoder: ChatEncoder) -> frozenset[int]:
    tokenizer: Any = encoder.tokenizer
    added = {i for i, token in getattr(tokenizer, "added_tokens_decoder", {}).items() if token.special}
    return frozenset(added | set(getattr(tokenizer, "all_special_ids", ())))
