"""RewardBench's first list: prompt, chosen, rejected, and the two models, which makes a vote of each pair.

Training reads the rows as the pairs that they are; this reads who won, of the same pair. Two responses of the same
score are a tie. Source: Lambert et al. 2024, "RewardBench" (arXiv 2403.13787).
"""

from pydantic import JsonValue

from penchant.data.files import Row
from penchant.data.importers.base import NUMBERS, Importer, filled
from penchant.data.importers.explicit_prompt import EXPLICIT_PROMPT
from penchant.data.importers.judged import compared, text_of
from penchant.data.importers.side_scores import OF_BOTH, scores_of_sides
from penchant.data.importers.side_scores import SCORES as SCORES_OF_SIDES
from penchant.data.importers.winners import names_winner
from penchant.data.records import SCORES, Comparison, Outcome, Response
from penchant.data.verdicts import BadRow

__all__ = ["REWARD_BENCH"]

MODELS = ("chosen_model", "rejected_model")
NAMES_OF_SCORES = frozenset(name for both in SCORES_OF_SIDES for name in both)
HOLD_SCORES = NAMES_OF_SCORES.union(OF_BOTH, ["meta"])


def convert(row: Row) -> Comparison:
    # without their scores, as two of the same are no pair and yet a vote
    said = (name for name in row if name not in HOLD_SCORES and not names_winner(name))
    pair = EXPLICIT_PROMPT.convert({name: row[name] for name in said})
    scores, outcome = _judged(row, (pair.chosen, pair.rejected))
    texts = text_of(pair.chosen), text_of(pair.rejected)
    meta: dict[str, JsonValue] = dict(zip(SCORES, scores, strict=True)) if scores else {}
    return compared(pair.prompt, texts, outcome, models=(row[MODELS[0]], row[MODELS[1]]), meta=meta)


def _judged(row: Row, responses: tuple[Response, Response]) -> tuple[tuple[float, float] | None, Outcome]:
    """The scores of the two, where there are any, and the outcome, which a word may say as well."""
    try:
        scores = scores_of_sides(row, responses)
    except BadRow as bad:
        if bad.code not in ("tie", "both_bad"):
            raise
        return None, "tie" if bad.code == "tie" else "both_bad"
    return scores, "tie" if scores and scores[0] == scores[1] else "a"


REWARD_BENCH: Importer[Comparison] = Importer(
    name="reward_bench",
    description="prompt, chosen, chosen_model, rejected, rejected_model",
    example={**EXPLICIT_PROMPT.example, "chosen_model": "tea", "rejected_model": "coffee"},
    needs=(*EXPLICIT_PROMPT.needs, *MODELS),
    matches=lambda row: filled(row, *MODELS) and EXPLICIT_PROMPT.matches(row),
    convert=convert,
    reads=(EXPLICIT_PROMPT.reads - NUMBERS).union(MODELS, NAMES_OF_SCORES),
    harmless=EXPLICIT_PROMPT.harmless,
)
