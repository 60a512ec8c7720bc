"""Import MT-bench's judgements by a model, as FastChat writes them: each pair was judged twice, in both orders.

g1_winner and g2_winner are model_1, model_2, tie or error. If the two disagree it is a tie, as FastChat counts it; an
error counts as unanswered. The texts are in other files, so these rows are votes and not pairs. Source: Zheng et al.
2023, "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena" (arXiv 2306.05685).
"""

from penchant.data.files import Row
from penchant.data.importers.base import Importer
from penchant.data.importers.judged import coded, judge_of
from penchant.data.importers.vote_fields import OUTCOMES, Vote, digest_of_parts, side_items, unit_of
from penchant.data.records import Outcome

__all__ = ["MT_BENCH_VOTES"]

MODELS, WINNERS = ("model_1", "model_2"), ("g1_winner", "g2_winner")
CODES: dict[str, Outcome | None] = {"model_1": "a", "model_2": "b", "tie": "tie", "error": None}


def convert(row: Row) -> tuple[Vote, ...]:
    left, right = side_items(row, *MODELS)
    said = [coded(row, name, CODES) for name in WINNERS]
    if None in said:
        return ()
    prompt = digest_of_parts(row.get("question_id"), row.get("turn"))
    judge = judge_of(row)
    unit = unit_of(prompt, (left, None), (right, None))
    outcome = said[0] if said[0] == said[1] else "tie"
    return (Vote(left, right, OUTCOMES[outcome or "tie"], prompt, unit, judge),)


MT_BENCH_VOTES: Importer[tuple[Vote, ...]] = Importer(
    name="mt_bench_pairs",
    description="model_1, model_2, g1_winner, g2_winner (model_1, model_2, tie or error)",
    example={"question_id": 81, "turn": 1, "model_1": "tea", "model_2": "coffee"}
    | {"g1_winner": "model_1", "g2_winner": "model_1", "judge": ["gpt-4", "pair-v2"]},
    needs=(*MODELS, *WINNERS),
    matches=lambda row: row.keys() >= {*MODELS, *WINNERS},
    convert=convert,
    reads=frozenset((*MODELS, *WINNERS, "question_id", "turn", "judge")),
    harmless=frozenset(f"g{n}_{what}" for n in (1, 2) for what in ("user_prompt", "judgment")),
)
