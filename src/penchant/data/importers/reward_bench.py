"""RewardBench's first list: prompt, chosen, rejected, and the two models, which makes a vote of each pair.

Training reads the rows as the pairs that they are; this reads who won. Source: Lambert et al. 2024, "RewardBench"
(arXiv 2403.13787).
"""

from penchant.data.files import Row
from penchant.data.importers.base import Importer, filled, prompt_field, response_field
from penchant.data.importers.explicit_prompt import EXPLICIT_PROMPT
from penchant.data.importers.judged import compared, text_of
from penchant.data.records import Comparison

__all__ = ["REWARD_BENCH"]

MODELS = ("chosen_model", "rejected_model")
SIDES = ("chosen", "rejected")


def convert(row: Row) -> Comparison:
    prompt = prompt_field(row, "prompt")
    chosen, rejected = (text_of(response_field(row, side, prompt)) for side in SIDES)
    return compared(prompt, (chosen, rejected), "a", models=(row[MODELS[0]], row[MODELS[1]]))


REWARD_BENCH: Importer[Comparison] = Importer(
    name="reward_bench",
    description="prompt, chosen, chosen_model, rejected, rejected_model",
    example={**EXPLICIT_PROMPT.example, "chosen_model": "tea", "rejected_model": "coffee"},
    needs=(*EXPLICIT_PROMPT.needs, *MODELS),
    matches=lambda row: filled(row, *MODELS) and EXPLICIT_PROMPT.matches(row),
    convert=convert,
    reads=EXPLICIT_PROMPT.reads.union(MODELS),
    harmless=EXPLICIT_PROMPT.harmless,
)
