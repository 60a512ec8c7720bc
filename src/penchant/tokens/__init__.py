"""Records become token ids with completion masks, prefix trees and packed forests."""

from penchant.tokens.encoding import BoundaryError, ChatEncoder
from penchant.tokens.forest import Forest, Segment, TokenSequence
from penchant.tokens.labelled import EncodedLabelled, tokenise_labelled
from penchant.tokens.packing import pack
from penchant.tokens.pairs import (
    EncodedExample,
    EncodedPair,
    Limits,
    Tokenised,
    tokenise_demonstrations,
    tokenise_pairs,
)

__all__ = [
    "BoundaryError",
    "ChatEncoder",
    "EncodedExample",
    "EncodedLabelled",
    "EncodedPair",
    "Forest",
    "Limits",
    "Segment",
    "TokenSequence",
    "Tokenised",
    "pack",
    "tokenise_demonstrations",
    "tokenise_labelled",
    "tokenise_pairs",
]
