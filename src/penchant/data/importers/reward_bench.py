"""Import pairs that name the models of both responses, so that each is a vote too: RewardBench's and similar ones.

Training reads the rows as pairs; this importer reads the winner of the same pair. Two responses of the same score
are a tie. The models are `chosen_model` and `rejected_model`, or `chosen-model` and `rejected-model`, as Argilla
writes them. Source: Lambert et al. 2024, "RewardBench" (arXiv 2403.13787).
"""

from functools import partial

from pydantic import JsonValue

from penchant.data.files import Row
from penchant.data.importers.base import NUMBERS, Importer
from penchant.data.importers.explicit_prompt import EXPLICIT_PROMPT, SHAREGPT_PAIR
from penchant.data.importers.hh import HH
from penchant.data.importers.judged import compared, text_of
from penchant.data.importers.named import NAMED
from penchant.data.importers.shared_prefix import SHARED_PREFIX
from penchant.data.importers.side_scores import OF_BOTH, scores_of_sides
from penchant.data.importers.side_scores import SCORES as SCORES_OF_SIDES
from penchant.data.importers.values import says_nothing
from penchant.data.importers.winners import names_winner
from penchant.data.records import SCORES, Comparison, Outcome, PreferencePair, Response
from penchant.data.verdicts import BadRow

__all__ = ["REWARD_BENCH", "WITH_MODELS", "models_of_sides"]

MODELS = (("chosen_model", "rejected_model"), ("chosen-model", "rejected-model"))
NAMES_OF_SCORES = frozenset(name for both in SCORES_OF_SIDES for name in both)
HOLD_SCORES = NAMES_OF_SCORES.union(OF_BOTH, ["meta"])


def models_of_sides(row: Row) -> tuple[str, str] | None:
    """The models of the chosen and the rejected response; None unless both are named."""
    for chosen, rejected in MODELS:
        if not says_nothing(row.get(chosen)) and not says_nothing(row.get(rejected)):
            return str(row[chosen]), str(row[rejected])
    return None


def convert(row: Row, *, one: Importer[PreferencePair]) -> Comparison:
    # without scores: two equal scores are no pair, but they are a vote
    said = (name for name in row if name not in HOLD_SCORES and not names_winner(name))
    pair = one.convert({name: row[name] for name in said})
    scores, outcome = _judged(row, (pair.chosen, pair.rejected))
    texts = text_of(pair.chosen), text_of(pair.rejected)
    meta: dict[str, JsonValue] = dict(zip(SCORES, scores, strict=True)) if scores else {}
    return compared(pair.prompt, texts, outcome, models=models_of_sides(row) or (None, None), meta=meta)


def matches(row: Row, *, one: Importer[PreferencePair]) -> bool:
    return models_of_sides(row) is not None and one.matches(row)


def _judged(row: Row, responses: tuple[Response, Response]) -> tuple[tuple[float, float] | None, Outcome]:
    """The two scores, if any, and the outcome, which a word may state as well."""
    try:
        scores = scores_of_sides(row, responses)
    except BadRow as bad:
        if bad.code not in ("tie", "both_bad"):
            raise
        return None, "tie" if bad.code == "tie" else "both_bad"
    return scores, "tie" if scores and scores[0] == scores[1] else "a"


def _with_models(one: Importer[PreferencePair]) -> Importer[Comparison]:
    return Importer(
        name="reward_bench" if one is EXPLICIT_PROMPT else f"{one.name}_models",
        description=f"{one.description}, chosen_model, rejected_model",
        example={**one.example, "chosen_model": "tea", "rejected_model": "coffee"},
        needs=one.needs,
        matches=partial(matches, one=one),
        convert=partial(convert, one=one),
        reads=(one.reads - NUMBERS).union(*MODELS, NAMES_OF_SCORES),
        harmless=one.harmless,
        needs_one_of=tuple(frozenset(names) for names in zip(*MODELS, strict=True)),
    )


WITH_MODELS = tuple(
    _with_models(one)
    for one in (EXPLICIT_PROMPT, SHAREGPT_PAIR, HH, *NAMED, SHARED_PREFIX)
    if one.needs[-2].startswith("chosen")
)
"""Formats with sides called chosen and rejected, and the models beside them."""
REWARD_BENCH = WITH_MODELS[0]
