"""Import comparisons in Penchant's own form, as annotation writes them: one `Comparison` per row."""

from penchant.data.files import Row
from penchant.data.importers.base import Importer, prompt_field
from penchant.data.records import Comparison

__all__ = ["COMPARISON"]


def convert(row: Row) -> Comparison:
    """Convert a comparison; a prompt that is a text is read as in every format."""
    asked = {"prompt": prompt_field({"prompt": row["prompt"]}, "prompt")} if isinstance(row["prompt"], str) else {}
    return Comparison.model_validate({**row, **asked})


def matches(row: Row) -> bool:
    return {"prompt", "a", "b"} <= row.keys()


COMPARISON: Importer[Comparison] = Importer(
    name="comparisons",
    description="id, prompt, a, b (each with text and, to rank, source), outcome (a, b, tie or both_bad)",
    example={
        "id": "sun-1",
        "prompt": [{"role": "user", "content": "What is the sun?"}],
        "a": {"text": "A star, the nearest one.", "source": {"model": "before"}},
        "b": {"text": "A lamp.", "source": {"model": "after"}},
        "outcome": "a",
    },
    needs=("prompt", "a", "b"),
    matches=matches,
    convert=convert,
    reads=frozenset(Comparison.model_fields),
)
