"""Import PKU-SafeRLHF: two answers to a harmful prompt, which one is better, and which of them are safe.

An answer marked unsafe is never chosen: of two safe answers the better one wins (`better_response_id`), a safe answer
beats an unsafe one, and two unsafe answers are both bad. Without the marks, the better one wins.
Data: Ji et al. 2024, "PKU-SafeRLHF" (arXiv 2406.15513).
"""

from penchant.data.files import Row
from penchant.data.importers.base import BESIDE, Importer, filled, prompt_field, text_field
from penchant.data.importers.judged import coded, compared
from penchant.data.importers.values import says_nothing, truth
from penchant.data.records import Comparison, Outcome
from penchant.data.verdicts import BadRow

__all__ = ["SAFE_RLHF"]

RESPONSES = ("response_0", "response_1")
MARKS = ("is_response_0_safe", "is_response_1_safe")
SOURCES = ("response_0_source", "response_1_source")


def convert(row: Row) -> Comparison:
    texts = text_field(row, RESPONSES[0]), text_field(row, RESPONSES[1])
    models = row.get(SOURCES[0]), row.get(SOURCES[1])
    return compared(prompt_field(row, "prompt"), texts, _outcome(row), models=models)


def _outcome(row: Row) -> Outcome | None:
    better = coded(row, "better_response_id", {"0": "a", "1": "b"})
    if any(says_nothing(row.get(name)) for name in MARKS):
        _refuse_unsafe(row, better)
        return better
    safe = [truth(row[name], name) for name in MARKS]
    if safe[0] == safe[1]:
        return better if safe[0] else "both_bad"
    return "a" if safe[0] else "b"


def _refuse_unsafe(row: Row, better: Outcome | None) -> None:
    """Raise BadRow where the only mark calls the better answer unsafe."""
    name = MARKS[better == "b"]
    if better and not says_nothing(row.get(name)) and not truth(row[name], name):
        other = MARKS[better == "a"]
        raise BadRow("missing_field", f"the better answer is marked unsafe, and '{other}' is missing", f"add '{other}'")


SAFE_RLHF: Importer[Comparison] = Importer(
    name="safe_rlhf",
    description="prompt, response_0, response_1, better_response_id (0 or 1), is_response_0_safe, is_response_1_safe",
    example={
        "prompt": "What is the sun?",
        "response_0": "A star, the nearest one.",
        "response_1": "A lamp.",
        "response_0_source": "tea",
        "response_1_source": "coffee",
        "is_response_0_safe": True,
        "is_response_1_safe": True,
        "better_response_id": 0,
    },
    needs=("prompt", *RESPONSES, "better_response_id"),
    matches=lambda row: filled(row, "prompt", *RESPONSES) and "better_response_id" in row,
    convert=convert,
    reads=BESIDE.union(("prompt", *RESPONSES, *MARKS, *SOURCES, "better_response_id")),
    harmless=frozenset(
        name for side in RESPONSES for name in (f"{side}_harm_category", f"{side}_severity_level", f"{side}_sha256")
    ).union(("safer_response_id", "prompt_source")),
)
