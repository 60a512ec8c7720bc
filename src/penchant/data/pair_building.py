"""Build pairs from answers in files: pooled by prompt, chosen by score or by author, filtered, ordered.

Each pair records how it was chosen: the rule, the scores and their judge, and the author of each side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan
from typing import Any, Literal, get_args

from penchant.data.answer_lists import Answer, AnswerList
from penchant.data.pairing import Pairing, PairingRule, Scored, choose_pairs
from penchant.data.records import Message, prompt_key
from penchant.data.verdicts import BadRow
from penchant.errors import ConfigError
from penchant.wording import shown

__all__ = ["BuildingRule", "Choice", "Order", "Paired", "Pool", "Written", "build_pairs", "pooled", "with_likeness"]

BuildingRule = PairingRule | Literal["delta"]
Order = Literal["prompts", "easy_first", "least_alike_first"]
RULES = (*get_args(PairingRule), "delta")
Score = Callable[[Sequence[Message], Sequence[str]], Sequence[float]]
"""Scores of some answers to a conversation."""


@dataclass(frozen=True, slots=True)
class Written:
    """One answer. model: its author, if known. place: the index of its file. finished: not cut off."""

    text: str
    model: str | None
    place: int
    finished: bool = True


@dataclass(frozen=True, slots=True)
class Pool:
    """All answers to one prompt, from every file; each text counts once per file."""

    prompt: tuple[Message, ...]
    answers: tuple[Written, ...]


@dataclass(frozen=True)
class Choice:
    """How answers become pairs.

    rule: one of `Pairing`'s, by score, or "delta": an answer of the first file, a stronger model's, is preferred to one
    of the second, a weaker model's (Geng et al. 2025, arXiv 2507.06187); no judge is needed. min_gap: the smallest
    difference of scores. max_length_ratio: how much longer the longer side may be, in characters. finished: leave out
    answers that were cut off at the limit. drop_alike: the share of the pairs to leave out, those whose sides a model
    represents most similarly. order: that of the prompts, largest gap of scores first, or least similar sides first.

    Raises ConfigError for an invalid value.
    """

    rule: BuildingRule = "best_worst"
    min_gap: float = 0.0
    max_length_ratio: float | None = None
    finished: bool = False
    order: Order = "prompts"
    drop_alike: float = 0.0

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ConfigError(f"`rule=...` must be {', '.join(RULES)}, got {shown(self.rule)}")
        if self.order not in get_args(Order):
            raise ConfigError(f"`order=...` must be {', '.join(get_args(Order))}, got {shown(self.order)}")
        if not (_is_number(self.drop_alike) and 0 <= self.drop_alike < 1):
            raise ConfigError(f"`drop_alike=...` must be a share, at least 0 and below 1, got {shown(self.drop_alike)}")
        if self.rule != "delta":
            Pairing(self.rule, self.min_gap)
        for name, least in (("min_gap", 0.0), ("max_length_ratio", 1.0)):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and value >= least):
                raise ConfigError(f"`{name}=...` must be a number that is at least {least:g}, got {shown(value)}")

    @property
    def filters(self) -> dict[str, Any]:
        """The filters in use, which are recorded beside the pairs."""
        given = {name: getattr(self, name) for name in ("min_gap", "max_length_ratio", "finished", "drop_alike")}
        return {name: value for name, value in given.items() if value}

    @property
    def by_likeness(self) -> list[str]:
        """The options that need the similarity of the sides to a model."""
        return ["drop_alike"] * bool(self.drop_alike) + ["order"] * (self.order == "least_alike_first")

    def check(self, num_files: int, *, judged: bool, likened: bool) -> None:
        """Raise ConfigError if the options do not fit the number of files, or the presence of a judge or a model."""
        if self.by_likeness and not likened:
            raise ConfigError(
                f"`{self.by_likeness[0]}=...` needs a model that measures how similar both sides are: `ches_model=...`"
            )
        if self.rule == "delta" and num_files != 2:
            raise ConfigError(
                f'`rule="delta"` prefers the answers of the first file to those of the second, got {num_files} '
                "files; give the stronger model's and then the weaker model's"
            )
        if self.rule != "delta" and not judged:
            raise ConfigError(f'`rule="{self.rule}"` needs scores; name the judge: `judge=...`')
        for name, holds in (("min_gap", self.min_gap > 0), ("order", self.order == "easy_first")):
            if holds and not judged:
                raise ConfigError(f"`{name}=...` needs scores; name the judge: `judge=...`")


@dataclass(frozen=True)
class Paired:
    """Pairs made from answers, as data for `penchant.dpo`.

    rows: the pairs, as written to a file. num_prompts: prompts read. left_out: what made no pair, as {reason: count}.
    """

    rows: tuple[dict[str, Any], ...]
    num_prompts: int
    left_out: dict[str, int]

    def in_words(self) -> list[str]:
        """The same as lines."""
        lines = [f"{len(self.rows)} pairs from {self.num_prompts} prompts"]
        return lines + [f"left out: {number} {why}" for why, number in self.left_out.items()]


def pooled(answers: Iterable[tuple[tuple[Message, ...], Written]]) -> list[Pool]:
    """Pool answers by prompt, in order of first occurrence.

    Example:
        >>> sun = (Message(role="user", content="What is the sun?"),)
        >>> [pool] = pooled([(sun, Written("A star.", "m", 0)), (sun, Written("A star.", "m", 0))])
        >>> len(pool.answers)
        1
    """
    found: dict[str, tuple[tuple[Message, ...], dict[tuple[str, int], Written]]] = {}
    for prompt, one in answers:
        _, known = found.setdefault(prompt_key(prompt), (prompt, {}))
        known.setdefault((one.text, one.place), one)
    return [Pool(prompt, tuple(known.values())) for prompt, known in found.values()]


def build_pairs(
    pools: Sequence[Pool],
    choice: Choice,
    score: Score | None,
    judge: str | None,
    *,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Paired:
    """Build the pairs of all pools. score: scores a prompt's last message and answers; None only for "delta".

    Example:
        >>> sun = (Message(role="user", content="What is the sun?"),)
        >>> texts = ("A star.", "A lamp, I think.", "No.")
        >>> pools = pooled((sun, Written(text, "m", 0)) for text in texts)
        >>> [row] = build_pairs(pools, Choice(), lambda _, texts: [len(text) for text in texts], "longest").rows
        >>> row["chosen"], row["rejected"], row["meta"]["gap"]
        ('A lamp, I think.', 'No.', 13)
    """
    rows: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    for number, pool in enumerate(pools, start=1):
        found = _rows_of(pool, choice, score, judge, left_out)
        rows += found
        on_progress(number, len(pools))
    if choice.order == "easy_first":
        rows.sort(key=lambda row: -row["meta"]["gap"])
    return Paired(tuple(rows), len(pools), dict(left_out))


def with_likeness(built: Paired, ches: Sequence[float], model: str, choice: Choice) -> Paired:
    """Add to each pair how similar its sides are to `model`, and leave out the most similar as configured.

    ches: the score of each row, higher for more similar; NaN if the model cannot read the pair, which is left out.

    Example:
        >>> rows = tuple({"chosen": text, "meta": {}} for text in "abc")
        >>> found = with_likeness(Paired(rows, 3, {}), [0.5, -2.0, -1.0], "m", Choice(drop_alike=0.3))
        >>> [row["chosen"] for row in found.rows], found.left_out
        (['b', 'c'], {'pairs whose sides are most similar to the model': 1})
    """
    rows = [
        {**row, "meta": {**row["meta"], "ches": value, "ches_model": model}}
        for row, value in zip(built.rows, ches, strict=True)
        if not isnan(value)
    ]
    by_likeness = sorted(range(len(rows)), key=lambda i: float(rows[i]["meta"]["ches"]))
    kept = by_likeness[: max(1, len(rows) - round(len(rows) * choice.drop_alike))]
    order = kept if choice.order == "least_alike_first" else sorted(kept)
    counts = {
        "pairs that the model for `ches_model` cannot read": len(built.rows) - len(rows),
        "pairs whose sides are most similar to the model": len(rows) - len(kept),
    }
    left_out = {**built.left_out, **{why: number for why, number in counts.items() if number}}
    return Paired(tuple(rows[i] for i in order), built.num_prompts, left_out)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _rows_of(
    pool: Pool, choice: Choice, score: Score | None, judge: str | None, left_out: Counter[str]
) -> list[dict[str, Any]]:
    answers = [one for one in pool.answers if one.text.strip() and (one.finished or not choice.finished)]
    if cut := len(pool.answers) - len(answers):
        left_out["answers that are empty or were cut at the limit" if choice.finished else "empty answers"] += cut
    texts = list(dict.fromkeys(one.text for one in answers))
    scores = dict(zip(texts, score(pool.prompt, texts), strict=True)) if score else {}
    pairs = _by_writer(answers) if choice.rule == "delta" else _by_score(pool, answers, scores, choice, left_out)
    if choice.rule == "delta" and not pairs:
        left_out["prompts without a different answer in each file"] += 1
    rows = []
    for chosen, rejected in pairs:
        gap = scores[chosen.text] - scores[rejected.text] if scores else None
        if gap is not None and (gap < choice.min_gap or gap <= 0):
            left_out["pairs whose scores are too close, or speak against the order of the files"] += 1
        elif _ratio(chosen.text, rejected.text) > (choice.max_length_ratio or inf):
            left_out["pairs of too different lengths"] += 1
        else:
            rows.append(_row(pool, chosen, rejected, scores, choice, judge))
    return rows


def _by_score(
    pool: Pool, answers: Sequence[Written], scores: dict[str, float], choice: Choice, left_out: Counter[str]
) -> list[tuple[Written, Written]]:
    who = {one.text: one for one in reversed(answers)}
    given = AnswerList(prompt=pool.prompt, answers=tuple(Answer(response=text, score=scores[text]) for text in who))
    try:
        chosen: list[tuple[Scored, Scored]] = choose_pairs(given, Pairing(choice.rule, choice.min_gap))  # type: ignore[arg-type]
    except BadRow as bad:
        left_out[WHY.get(bad.code, bad.reason)] += 1
        return []
    return [(who[str(better)], who[str(worse)]) for (_, better), (_, worse) in chosen]


WHY = {
    "one_answer": "prompts with fewer than two different answers",
    "tie": "prompts whose answers all have the same score",
    "small_gap": "prompts whose answers' scores are too close",
}


def _by_writer(answers: Sequence[Written]) -> list[tuple[Written, Written]]:
    """Pair the i-th answer of the first file with the i-th of the second."""
    sides = [[one for one in answers if one.place == place] for place in (0, 1)]
    return [(a, b) for a, b in zip(*sides, strict=False) if a.text != b.text]


def _ratio(a: str, b: str) -> float:
    return max(len(a), len(b)) / min(len(a), len(b))


def _row(
    pool: Pool, chosen: Written, rejected: Written, scores: dict[str, float], choice: Choice, judge: str | None
) -> dict[str, Any]:
    sides = {"chosen": chosen, "rejected": rejected}
    meta: dict[str, Any] = {"rule": choice.rule, **({"filters": choice.filters} if choice.filters else {})}
    if scores:
        values = {f"score_{side}": scores[one.text] for side, one in sides.items()}
        meta |= {"judge": judge, **values, "gap": values["score_chosen"] - values["score_rejected"]}
    meta |= {f"model_{side}": one.model for side, one in sides.items() if one.model}
    prompt = [message.model_dump() for message in pool.prompt]
    return {"prompt": prompt, "chosen": chosen.text, "rejected": rejected.text, "meta": meta}
