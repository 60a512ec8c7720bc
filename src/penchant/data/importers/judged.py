"""Read two judged answers: each format is defined once, and read as pairs, as votes and as annotation tasks.

The format is an importer of comparisons: one per row, or several if several people answered. `pairs_from` and
`votes_from` derive what `penchant dpo` and `penchant rank` read; `penchant votes import` reads the comparisons.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar

from penchant.data.derived import pairs_from_comparisons
from penchant.data.files import Row
from penchant.data.importers.base import Importer, OneOrMore, converting, field, filled
from penchant.data.importers.packed import spelt
from penchant.data.importers.values import kind_of, number_in, says_nothing
from penchant.data.importers.vote_fields import OUTCOMES, Side, Vote, digest_of_parts, refuse_same, unit_of
from penchant.data.quickly import text_message
from penchant.data.records import Candidate, Comparison, Message, Outcome, PreferencePair, Response, Source, prompt_key
from penchant.data.verdicts import CODES, BadRow
from penchant.wording import shown

__all__ = [
    "HUMAN",
    "NOBODY",
    "SIDES",
    "agreeing",
    "all_of",
    "asked",
    "by_score",
    "coded",
    "compared",
    "judge_of",
    "pairs_from",
    "source_of",
    "text_of",
    "votes_from",
]

Record = TypeVar("Record")

HUMAN = "human"
"""The model name for a text that a person wrote."""
NOBODY = ("unknown_a", "unknown_b")
"""Names for two unknown models, so that a ranking can tell the sides apart."""

SIDES: dict[str | None, Outcome | None] = {"left": "a", "right": "b", "tie": "tie", "both_bad": "both_bad", None: None}
"""Outcomes of comparisons by the outcomes of votes."""


def asked(text: str) -> tuple[Message, ...]:
    """A prompt of one text."""
    return (text_message("user", text),)


def compared(
    prompt: tuple[Message, ...],
    texts: tuple[str, str],
    outcome: Outcome | None,
    *,
    models: tuple[Any, Any] = (None, None),
    **said: Any,
) -> Comparison:
    """The comparison of two texts, the first of which is a; it has no id, which only a task needs.

    said: further fields of Comparison.
    """
    a, b = (Candidate(text=text, source=source_of(model)) for text, model in zip(texts, models, strict=True))
    return Comparison(id="", prompt=prompt, a=a, b=b, outcome=outcome, **said)


def source_of(model: Any) -> Source | None:
    """The source of a text by the name of its model; None for a person, or if unknown."""
    return None if model is None or model in (HUMAN, *NOBODY) else _named(str(model))


def judge_of(row: Row, name: str = "judge") -> str | None:
    """The judge: a name or a number (0 is valid), or FastChat's list of a model and its prompt.

    Raises BadRow for an object, and for true and false.
    """
    judge = row.get(name)
    if says_nothing(judge):
        return None
    if isinstance(judge, dict | bool):
        raise BadRow("bad_type", f"'{name}' is {shown(judge)}, which names nobody", "write a name or a number")
    return " ".join(map(str, judge)) if isinstance(judge, list) else str(judge)


@lru_cache(maxsize=1024)
def _named(model: str) -> Source:
    return Source(model=model)  # cached: few models write many texts


def coded(row: Row, name: str, codes: dict[str, Outcome | None]) -> Outcome | None:
    """The outcome by `codes` of a field, in lower case; a number may end in ".0". None if unanswered.

    Raises BadRow where the field is absent or holds anything else.
    """
    value = row[name] if name in row else field(row, name)
    if says_nothing(value):
        return None
    code = str(value).strip().lower().removesuffix(".0")
    if isinstance(value, bool) or code not in codes:
        raise BadRow(
            "bad_type", f"'{name}' is {shown(value)}, which is not an outcome", f"write one of {', '.join(codes)}"
        )
    return codes[code]


def by_score(row: Row, first: str, second: str) -> Outcome | None:
    """The outcome by the higher of two numbers; None if one is missing."""
    a, b = (None if says_nothing(row.get(name)) else number_in(row[name], name) for name in (first, second))
    if a is None or b is None:
        return None
    return "tie" if a == b else "a" if a > b else "b"


def agreeing(said: Outcome | None, row: Row, name: str, scores: tuple[str, str]) -> Outcome | None:
    """The outcome in field `name`, checked against two scores (equal is a tie). Raises BadRow where they disagree."""
    scored = by_score(row, *scores)
    if None in (said, scored) or said == scored:
        return said
    if scored == "tie":
        return "tie"
    higher = scores[0] if scored == "a" else scores[1]
    reason = f"'{name}' is {shown(row[name])}, but '{higher}' is the higher score"
    raise BadRow("bad_type", reason, "keep the one that is right")


def object_field(row: Row, name: str) -> Row:
    """A field that is an object, or the JSON of one."""
    value = spelt(field(row, name))
    if not isinstance(value, dict):
        raise BadRow("bad_type", f"'{name}' must be an object, got {kind_of(value)}", f"write '{name}' as {{...}}")
    return value


def two_of(row: Row, name: str, kind: type[Record]) -> tuple[Record, Record]:
    """A field that is a list of two texts, or of two objects, or the JSON of one."""
    value, what = spelt(field(row, name)), "texts" if kind is str else "objects"
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(item, kind) for item in value):
        reason = f"'{name}' must be a list of two {what}, got {shown(value)}"
        raise BadRow("bad_type", reason, "write two; further ones belong in rows of their own")
    return value[0], value[1]


def text_of(response: Response) -> str:
    """The text of a response. Raises BadRow for one that is more than a text."""
    if isinstance(response, str):
        return response
    reason = "the response holds reasoning or a tool call, and only texts can be compared"
    raise BadRow("bad_type", reason, "remove the row, or write the response as text")


def all_of(found: Record | tuple[Record, ...]) -> tuple[Record, ...]:
    """The records of one row, as a tuple."""
    return found if isinstance(found, tuple) else (found,)


def pairs_from(one: OneOrMore[Comparison]) -> Importer[tuple[PreferencePair, ...]]:
    """The importer of pairs: one for each vote that prefers a side; a row without one is a tie, or both bad."""

    def convert(row: Row) -> tuple[PreferencePair, ...]:
        comparisons = all_of(one.convert(row))
        pairs = tuple(pairs_from_comparisons(comparisons))
        if comparisons and not pairs:
            code, name = comparisons[0].outcome or "unanswered", comparisons[0].id
            what = f"the comparison '{name}'" if name else "it"
            raise BadRow(code, f"{what} makes no pair: {CODES[code].meaning}", "nothing to fix")
        return pairs

    return converting(one, convert)


def votes_from(one: OneOrMore[Comparison], *models: str) -> Importer[tuple[Vote, ...]]:
    """The importer of votes on the models in these fields; rows without them do not match."""

    def convert(row: Row) -> tuple[Vote, ...]:
        votes = [_vote_of(comparison) for comparison in all_of(one.convert(row))]
        return tuple(vote for vote in votes if vote is not None)

    votes = converting(one, convert)
    if not models:
        return votes
    return replace(
        votes,
        needs=(*one.needs, *models),
        matches=lambda row: filled(row, *models) and one.matches(row),
    )


def _vote_of(comparison: Comparison) -> Vote | None:
    """Who won; None if unanswered. Raises BadRow for a model against itself."""
    left, right = refuse_same(_item(comparison.a), _item(comparison.b))
    if comparison.outcome is None:
        return None
    prompt = digest_of_parts(prompt_key(comparison.prompt))
    first: dict[str | None, Side] = {"a": "left", "b": "right"}
    return Vote(
        left,
        right,
        OUTCOMES[comparison.outcome],
        prompt,
        unit_of(prompt, (left, comparison.a.text), (right, comparison.b.text)),
        comparison.annotator,
        first.get(comparison.shown_first),
    )


def _item(candidate: Candidate) -> str:
    """The model with its sampling settings if they are known and not neutral; the seed is ignored."""
    source = candidate.source
    if source is None:
        return HUMAN
    settings = {"t": source.temperature, "top_p": source.top_p, "top_k": source.top_k}
    neutral = {"t": None, "top_p": 1.0, "top_k": 0}
    said = [f"{k}={v:g}" for k, v in settings.items() if v is not None and v != neutral[k]]
    return " ".join([source.model, *said])
