"""RewardBench's first list: prompt, chosen, rejected, and the two models, which makes a vote of each pair.

Training reads the rows as the pairs that they are; this reads who won, of the same pair. Two responses of the same
score are a tie. Source: Lambert et al. 2024, "RewardBench" (arXiv 2403.13787).
"""

from pydantic import JsonValue

from penchant.data.derived import gap_between
from penchant.data.files import Row
from penchant.data.importers.base import NUMBERS, Importer, filled
from penchant.data.importers.explicit_prompt import EXPLICIT_PROMPT
from penchant.data.importers.judged import compared, text_of
from penchant.data.importers.sides import SCORES as SCORES_OF_SIDES
from penchant.data.importers.sides import refuse_equal
from penchant.data.records import SCORES, Comparison
from penchant.data.verdicts import BadRow

__all__ = ["REWARD_BENCH"]

MODELS = ("chosen_model", "rejected_model")
NAMES_OF_SCORES = frozenset(name for both in SCORES_OF_SIDES for name in both)


def convert(row: Row) -> Comparison:
    # without their scores, as two of the same are no pair and yet a vote
    pair = EXPLICIT_PROMPT.convert({name: value for name, value in row.items() if name not in NAMES_OF_SCORES})
    texts = text_of(pair.chosen), text_of(pair.rejected)
    models = row[MODELS[0]], row[MODELS[1]]
    return compared(pair.prompt, texts, "tie" if _are_equal(row) else "a", models=models, meta=_scores(row))


def _are_equal(row: Row) -> bool:
    try:
        refuse_equal(row)
    except BadRow as bad:
        if bad.code != "tie":
            raise
        return True
    return False


def _scores(row: Row) -> dict[str, JsonValue]:
    for better, worse in SCORES_OF_SIDES:
        if gap_between(row.get(better), row.get(worse)) is not None:
            return dict(zip(SCORES, (float(row[better]), float(row[worse])), strict=True))
    return {}


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
