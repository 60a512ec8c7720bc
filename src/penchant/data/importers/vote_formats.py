"""Import votes (two items and the winner) from comparisons, arena battles, tables of winners and tables of counts.

A row yields one vote, none (unanswered), or several (counts, several annotators).
"""

import json
from functools import partial
from typing import Any

from penchant.data.files import Row
from penchant.data.importers.answer_lists import ANSWER_COLUMNS, ANSWER_OBJECTS, ULTRAFEEDBACK
from penchant.data.importers.arena import (
    ARENA_TURNS,
    CONVERSATIONS,
    KNOWN_OF_BATTLE,
    WINNERS,
    is_asked,
    judged_part,
    of_turns,
    winner_of,
)
from penchant.data.importers.base import Importer, filled
from penchant.data.importers.coded import ALPACA_EVAL
from penchant.data.importers.comparison import COMPARISON
from penchant.data.importers.judged import votes_from
from penchant.data.importers.listed import votes_by_score
from penchant.data.importers.mt_bench import MT_BENCH_VOTES
from penchant.data.importers.pandalm import PANDALM_VOTES
from penchant.data.importers.reward_bench import WITH_MODELS
from penchant.data.importers.safe_rlhf import SAFE_RLHF
from penchant.data.importers.summaries import SUMMARIES
from penchant.data.importers.vote_fields import (
    Vote,
    count_field,
    digest_of_parts,
    first_filled,
    is_blank,
    shown_first_field,
    side_items,
    unit_of,
)

__all__ = ["VOTE_IMPORTERS"]

ASKED = ("prompt", "instruction", "question")
JUDGE = ("annotator", "judge", "worker")
READ_OF_BATTLE = frozenset(
    ("winner", "conversation_a", "conversation_b", "turn", "shown_first", *WINNERS, *ASKED, *JUDGE)
)
SAID_IN_BATTLE = KNOWN_OF_BATTLE.union(
    ("response_a", "response_b", "system", "tools", "functions", "model_x", "model_y"),
    ("full_conversation", "evaluation_order"),
)
"""Fields that a ranking by outcomes does not need."""


def _battle(row: Row, *, left: str, right: str) -> tuple[Vote, ...]:
    """One vote per row: an arena's battles, with or without conversations, or a table of winners."""
    items = side_items(row, left, right)
    outcome = winner_of(row, items)
    if outcome is None:
        return ()
    answers = [judged_part(row.get(name), row) for name in CONVERSATIONS]
    asked = _questions(answers[0]) or first_filled(row, *ASKED)
    prompt = None if asked is None else digest_of_parts(asked)
    unit = unit_of(prompt, (items[0], answers[0]), (items[1], answers[1]))
    annotator = first_filled(row, *JUDGE)
    return (Vote(*items, outcome, prompt, unit, annotator, shown_first_field(row, items)),)


def _questions(conversation: object) -> str | None:
    """The user's turns: the prompt of a conversation with an arena's model."""
    turns = conversation if isinstance(conversation, list) else []
    asked = [turn.get("value" if turn.get("from") else "content") for turn in turns if is_asked(turn)]
    return json.dumps(asked) if asked else None


def _counts(row: Row, *, left: str, right: str, counts: tuple[str, ...]) -> tuple[Vote, ...]:
    """Votes from counts: wins of the left, wins of the right (none in a table of winner, loser, count), ties."""
    items = side_items(row, left, right)
    if all(is_blank(row.get(name)) for name in counts):
        return ()
    votes: list[Vote] = []
    for outcome, name in zip(("left", "right", "tie"), counts, strict=False):
        votes += [Vote(*items, outcome)] * count_field(row, name)
    return tuple(votes)


def _has(row: Row, *, names: tuple[str, ...]) -> bool:
    return set(names) <= row.keys()


def _table(name: str, left: str, right: str, *counts: str, example: tuple[Any, ...]) -> Importer[tuple[Vote, ...]]:
    """The importer of a table of counts under its common spellings."""
    names = (left, right, *counts)
    return Importer(
        name=name,
        description=", ".join(names),
        example=dict(zip(names, example, strict=True)),
        needs=names,
        matches=partial(_has, names=names),
        convert=partial(_counts, left=left, right=right, counts=counts),
        reads=frozenset(names),
    )


VOTE_IMPORTERS: tuple[Importer[tuple[Vote, ...]], ...] = (
    votes_from(COMPARISON),
    Importer(
        name="arena_battles",
        description="model_a, model_b, winner (model_a, model_b, tie or tie (bothbad))",
        example={"model_a": "tea", "model_b": "coffee", "winner": "model_a", "judge": "Ann"},
        needs=("model_a", "model_b", "winner"),
        matches=partial(_has, names=("model_a", "model_b", "winner")),
        convert=partial(_battle, left="model_a", right="model_b"),
        reads=READ_OF_BATTLE | {"model_a", "model_b"},
        harmless=SAID_IN_BATTLE,
        annotator_in=JUDGE,
    ),
    Importer(
        name=ARENA_TURNS.name,
        description=f"model_a, model_b, {ARENA_TURNS.description}",
        example=ARENA_TURNS.example,
        needs=("model_a", "model_b", *ARENA_TURNS.needs),
        matches=lambda row: filled(row, "model_a", "model_b") and ARENA_TURNS.matches(row),
        convert=lambda row: _battle(of_turns(row), left="model_a", right="model_b"),
        reads=ARENA_TURNS.reads,
        harmless=ARENA_TURNS.harmless,
    ),
    Importer(
        name="winners",
        description="left, right, winner (left, right, tie or both_bad)",
        example={"left": "tea", "right": "coffee", "winner": "left"},
        needs=("left", "right", "winner"),
        matches=partial(_has, names=("left", "right", "winner")),
        convert=partial(_battle, left="left", right="right"),
        reads=READ_OF_BATTLE | {"left", "right"},
        harmless=SAID_IN_BATTLE,
        annotator_in=JUDGE,
    ),
    PANDALM_VOTES,
    MT_BENCH_VOTES,
    votes_from(ALPACA_EVAL, "generator_1", "generator_2"),
    votes_from(SUMMARIES),
    votes_from(SAFE_RLHF, "response_0_source", "response_1_source"),
    *map(votes_from, WITH_MODELS),
    _table("counts", "left", "right", "left_wins", "right_wins", "ties", example=("tea", "coffee", 3, 1, 2)),
    _table("counts_decided", "left", "right", "left_wins", "right_wins", example=("tea", "coffee", 3, 1)),
    _table("counts_home", "home.team", "away.team", "home.wins", "away.wins", example=("Rome", "Oslo", 4, 3)),
    _table("counts_contests", "row", "col", "win", "loss", "tie", example=("1", "2", 2, 16, 7)),
    _table("counts_won", "winner", "loser", "count", example=("tea", "coffee", 33)),
    _table("counts_cited", "winner_cited", "loser_citing", "count", example=("Nature", "Science", 33)),
    *map(votes_by_score, (ULTRAFEEDBACK, ANSWER_OBJECTS, ANSWER_COLUMNS)),
)
