"""Turn judged answers and pairs into annotation tasks: comparisons with id and sides derived from their content."""

import hashlib
from collections.abc import Mapping
from typing import Any

from penchant.data.importers.base import require_question
from penchant.data.importers.judged import source_of, text_of
from penchant.data.inspection import require_pair
from penchant.data.records import Candidate, Comparison, Message, Outcome, PreferencePair, prompt_key

__all__ = ["FLIPPED", "task_from_pair", "task_of"]

FLIPPED: Mapping[str | None, Outcome] = {"a": "b", "b": "a"}
"""The outcomes that change when the sides are swapped."""


def task_of(comparison: Comparison) -> Comparison:
    """A comparison as a task that depends only on its texts."""
    said = ("outcome", "strength", "annotator", "shown_first", "created_at", "meta")
    prompt = require_question(comparison.prompt)
    return _oriented(prompt, comparison.a, comparison.b, **{name: getattr(comparison, name) for name in said})


def task_from_pair(pair: PreferencePair, chosen_model: Any = None, rejected_model: Any = None) -> Comparison:
    """A pair as an anonymous answer; a soft label below one half prefers the other side."""
    models = chosen_model, rejected_model
    if pair.probability < 0.5:
        pair, models = pair.swap().model_copy(update={"probability": 1 - pair.probability}), models[::-1]
    numbers = {"probability": pair.probability, "weight": pair.weight, "margin": pair.margin, "gap": pair.gap}
    require_pair(pair)
    texts = map(text_of, (pair.chosen, pair.rejected))
    chosen, rejected = (
        Candidate(text=text, source=source_of(model)) for text, model in zip(texts, models, strict=True)
    )
    outcome = "tie" if pair.probability == 0.5 else "a"
    defaults = {name: field.default for name, field in PreferencePair.model_fields.items()}
    meta = {name: value for name, value in numbers.items() if value != defaults[name]}
    return _oriented(pair.prompt, chosen, rejected, outcome=outcome, meta=meta)


def _oriented(prompt: tuple[Message, ...], first: Candidate, second: Candidate, **fields: Any) -> Comparison:
    """A comparison with id and sides derived from its content.

    The same two responses give the same task in either order, and a side does not reveal which was preferred.
    """
    contents = [candidate.model_dump_json() for candidate in (first, second)]
    digest = hashlib.sha256("\x1e".join((prompt_key(prompt), *sorted(contents))).encode()).hexdigest()[:24]
    comparison = Comparison(id=digest, prompt=prompt, a=first, b=second, **fields)
    if contents[0] < contents[1]:
        return comparison
    flipped = {name: FLIPPED.get(value, value) for name, value in fields.items() if name in ("outcome", "shown_first")}
    return comparison.model_copy(update={"a": second, "b": first, **flipped})
