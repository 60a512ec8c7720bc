"""Comparisons in Penchant's own form, as annotation writes them: one `Comparison` a row."""

from penchant.data.files import Row
from penchant.data.importers.base import Importer
from penchant.data.records import Comparison, PreferencePair, pairs_from_comparisons
from penchant.data.verdicts import CODES, BadRow

__all__ = ["COMPARISON"]


def matches(row: Row) -> bool:
    return {"prompt", "a", "b"} <= row.keys()


def convert(row: Row) -> PreferencePair:
    comparison = Comparison.model_validate(row)
    pairs = pairs_from_comparisons([comparison])
    if not pairs:
        code = comparison.outcome or "unanswered"
        raise BadRow(code, f"the comparison '{comparison.id}' makes no pair: {CODES[code].meaning}", "nothing to mend")
    return pairs[0]


COMPARISON = Importer(
    name="comparisons",
    description="id, prompt (messages), a, b (each with text), outcome (a, b, tie or both_bad)",
    example={
        "id": "sun-1",
        "prompt": [{"role": "user", "content": "What is the sun?"}],
        "a": {"text": "A star, the nearest one."},
        "b": {"text": "A lamp."},
        "outcome": "a",
    },
    needs=("prompt", "a", "b"),
    matches=matches,
    convert=convert,
    reads=frozenset(Comparison.model_fields),
)
