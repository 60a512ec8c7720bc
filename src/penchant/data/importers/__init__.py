"""Tables of importers by kind of record: the first importer that matches a row reads it."""

from functools import cache

from penchant.data.answer_lists import AnswerList
from penchant.data.importers.alpaca import ALPACA
from penchant.data.importers.answer_lists import ANSWER_COLUMNS, ANSWER_OBJECTS, ULTRAFEEDBACK
from penchant.data.importers.answered import ANSWERED
from penchant.data.importers.arena import ARENA, ARENA_TURNS
from penchant.data.importers.base import Importer, OneOrMore
from penchant.data.importers.beside import with_reasoning, with_weight
from penchant.data.importers.coded import CODED
from penchant.data.importers.comparison import COMPARISON
from penchant.data.importers.conversation import MESSAGES, SHAREGPT
from penchant.data.importers.explicit_prompt import EXPLICIT_PROMPT, OPENAI_PAIR, SHAREGPT_PAIR
from penchant.data.importers.helpsteer import HELPSTEER
from penchant.data.importers.hh import HH
from penchant.data.importers.instances import INSTANCES, PROMPT_INSTANCES
from penchant.data.importers.judged import pairs_from
from penchant.data.importers.listed import pairs_by
from penchant.data.importers.named import DISTILABEL, NAMED, RANKED_OUTPUT
from penchant.data.importers.oasst import OASST_PROMPTS, OASST_THREADS, OASST_TREE
from penchant.data.importers.pandalm import PANDALM
from penchant.data.importers.prompt_completion import PROMPT_COMPLETION
from penchant.data.importers.prompts import (
    PROMPT,
    PROMPT_INSTRUCTION,
    PROMPT_LINE,
    PROMPT_MESSAGES,
    PROMPT_TURNS,
)
from penchant.data.importers.rated_summaries import RATED_SUMMARIES
from penchant.data.importers.safe_rlhf import SAFE_RLHF
from penchant.data.importers.several_sides import SEVERAL_SIDES
from penchant.data.importers.shared_prefix import SHARED_PREFIX
from penchant.data.importers.summaries import SUMMARIES
from penchant.data.importers.text import TEXT
from penchant.data.importers.text_score import TEXT_SCORE
from penchant.data.importers.vote_fields import Vote
from penchant.data.importers.vote_formats import VOTE_IMPORTERS
from penchant.data.importers.webgpt import WEBGPT, WEBGPT_LINES
from penchant.data.importers.with_label import LABELS, heeding_label, with_label
from penchant.data.pairing import ALL_PAIRS, Pairing
from penchant.data.records import Comparison, Demonstration, Document, Labelled, PreferencePair, Prompt

__all__ = [
    "CHOSEN_IMPORTERS",
    "DEMONSTRATION_IMPORTERS",
    "JUDGED_IMPORTERS",
    "LABELLED_IMPORTERS",
    "LIST_IMPORTERS",
    "PAIR_IMPORTERS",
    "PROMPT_IMPORTERS",
    "VOTE_IMPORTERS",
    "Importer",
    "Vote",
    "pair_importers",
]

CHOSEN_IMPORTERS: tuple[OneOrMore[PreferencePair], ...] = (
    EXPLICIT_PROMPT,
    SHAREGPT_PAIR,
    HH,
    DISTILABEL,
    *NAMED,
    RANKED_OUTPUT,
    SHARED_PREFIX,
    OPENAI_PAIR,
    *ANSWERED,
)
"""Pairs with a named chosen side."""

JUDGED_IMPORTERS: tuple[OneOrMore[Comparison], ...] = (
    COMPARISON,
    ARENA,
    ARENA_TURNS,
    *CODED,
    WEBGPT,
    WEBGPT_LINES,
    TEXT_SCORE,
    SUMMARIES,
    SAFE_RLHF,
    PANDALM,
)
"""Two answers, one of which may have been preferred."""

LIST_IMPORTERS: tuple[OneOrMore[AnswerList], ...] = (
    OASST_TREE,
    HELPSTEER,
    RATED_SUMMARIES,
    SEVERAL_SIDES,
    ULTRAFEEDBACK,
    ANSWER_OBJECTS,
    ANSWER_COLUMNS,
)
"""Many answers to one prompt, with scores or ranks."""


@cache
def pair_importers(pairing: Pairing) -> tuple[OneOrMore[PreferencePair], ...]:
    """The importers of pairs, and of answer lists that become pairs by a rule."""
    return (*PAIRS, *(pairs_by(one, pairing) for one in LIST_IMPORTERS))


PAIRS: tuple[OneOrMore[PreferencePair], ...] = (*CHOSEN_IMPORTERS, *map(pairs_from, JUDGED_IMPORTERS))
PAIR_IMPORTERS = pair_importers(ALL_PAIRS)

CONVERSATIONS = tuple(map(with_reasoning, (MESSAGES, SHAREGPT, PROMPT_COMPLETION, ALPACA)))

LABELLED_IMPORTERS: tuple[Importer[Labelled], ...] = tuple(
    with_label(one, name) for name in LABELS for one in CONVERSATIONS
)

DEMONSTRATION_IMPORTERS: tuple[OneOrMore[Demonstration | Document], ...] = (
    *(heeding_label(with_weight(one)) for one in CONVERSATIONS),
    INSTANCES,
    OASST_THREADS,
    TEXT,
)

PROMPT_IMPORTERS: tuple[OneOrMore[Prompt], ...] = (
    PROMPT,
    PROMPT_MESSAGES,
    PROMPT_LINE,
    PROMPT_TURNS,
    PROMPT_INSTANCES,
    PROMPT_INSTRUCTION,
    OASST_PROMPTS,
)
