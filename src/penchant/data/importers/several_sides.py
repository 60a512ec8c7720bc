"""Import RewardBench 2: a prompt, a list of right answers and a list of wrong ones; right ones beat wrong ones.

Usually one of four answers is right; in the part "Ties", several right answers are equally good.
Source: Malik et al. 2025, "RewardBench 2" (arXiv 2506.01937).
"""

from penchant.data.answer_lists import Answer, AnswerList
from penchant.data.files import Row
from penchant.data.importers.base import BESIDE, Importer, filled, prompt_field
from penchant.data.importers.named import QUESTION
from penchant.data.importers.sides import JUDGEMENT, SIDES, are_texts
from penchant.data.verdicts import BadRow

__all__ = ["SEVERAL_SIDES"]


def convert(row: Row) -> AnswerList:
    for name in SIDES:
        if not are_texts(row[name]):
            reason = f"'{name}' must be a list of texts, as the other side is"
            raise BadRow("bad_type", reason, "write both sides as texts, or both as lists of texts")
    answers = [
        Answer(response=text, score=score) for name, score in zip(SIDES, (1.0, 0.0), strict=True) for text in row[name]
    ]
    part, own = row.get("subset"), row.get("id")
    called = f"{part}/{own}" if isinstance(part, str) and own is not None else None
    return AnswerList(prompt=prompt_field(row, "prompt"), answers=tuple(answers), name=called)


SEVERAL_SIDES = Importer(
    name="reward_bench_2",
    description="prompt, chosen (a list of texts), rejected (a list of texts)",
    example={
        "prompt": QUESTION,
        "chosen": ["A star, the nearest one."],
        "rejected": ["A lamp.", "A planet."],
    },
    needs=("prompt", *SIDES),
    matches=lambda row: filled(row, "prompt", *SIDES) and are_texts(row["chosen"]),
    convert=convert,
    reads=BESIDE.union(("prompt", *SIDES)),
    harmless=JUDGEMENT.union(("num_correct", "num_incorrect", "total_completions", "models", "additional_metadata")),
)
