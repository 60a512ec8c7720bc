"""Encode records as token ids with completion masks, prefix trees and packed forests."""

from penchant.tokens.demonstrations import EncodedExample, tokenise_demonstrations
from penchant.tokens.encoding import ChatEncoder
from penchant.tokens.forest import Forest, Segment, TokenSequence
from penchant.tokens.labelled_responses import EncodedLabelled, tokenise_labelled
from penchant.tokens.packing import deal, pack
from penchant.tokens.pairs import EncodedPair, Limits, Tokenised, tokenise_pairs
from penchant.tokens.prompts import EncodedPrompt, tokenise_prompts
from penchant.tokens.refusals import BoundaryError, SpecialTokenError
from penchant.tokens.spelt import SpecialTokens, special_tokens_of

__all__ = [
    "BoundaryError",
    "ChatEncoder",
    "EncodedExample",
    "EncodedLabelled",
    "EncodedPair",
    "EncodedPrompt",
    "Forest",
    "Limits",
    "Segment",
    "SpecialTokenError",
    "SpecialTokens",
    "TokenSequence",
    "Tokenised",
    "deal",
    "pack",
    "special_tokens_of",
    "tokenise_demonstrations",
    "tokenise_labelled",
    "tokenise_pairs",
    "tokenise_prompts",
]
