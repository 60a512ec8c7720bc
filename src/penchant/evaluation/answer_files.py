"""Read the sampled answers of two models from files, to compare them without the models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from penchant.data import Comparison, Message, Prompt, Source, prompt_key, read_rows, shown
from penchant.data.verdicts import bad_row_from_validation
from penchant.errors import DataError
from penchant.evaluation.answers import Answers
from penchant.evaluation.samples import Samples

__all__ = ["SampledAnswer", "answers_in", "read_two"]


class _Completion(BaseModel):
    id: str = ""
    prompt: tuple[Message, ...]
    completion: str
    source: Source | None = None
    meta: dict[str, Any] = {}


@dataclass(frozen=True)
class SampledAnswer:
    """A sampled answer, number `place` of its prompt. num_tokens, finished: None if not recorded."""

    prompt_id: str
    prompt: tuple[Message, ...]
    place: int
    text: str
    source: Source | None
    num_tokens: int | None
    finished: bool | None


def answers_in(samples: Path | Samples) -> Iterator[SampledAnswer]:
    """Yield the answers of a file, or in memory, in order; an answer in several pairs is repeated.

    Raises:
        DataError: a row holds no answers; names file and line.
    """
    name = samples if isinstance(samples, Path) else "samples in memory"
    rows = read_rows(samples) if isinstance(samples, Path) else enumerate(samples.rows, start=1)
    for number, row in rows:
        try:
            read = _Completion.model_validate(row) if "completion" in row else Comparison.model_validate(row)
        except ValidationError as error:
            raise DataError(
                f"{name}:{number}: holds no sampled answers ({bad_row_from_validation(error).reason}); give a file "
                "that `penchant sample` wrote"
            ) from error
        if not read.prompt:
            raise DataError(f"{name}:{number}: the prompt holds no message; remove the line")
        yield from _answers_of(read)


def _answers_of(read: _Completion | Comparison) -> Iterator[SampledAnswer]:
    if isinstance(read, _Completion):
        prompt_id, sides = read.id, [(read.completion, read.source)]
        places: tuple[int, ...] = (0,)
    else:
        prompt_id = str(read.meta.get("prompt_id", read.id))
        places, sides = _places(read.id, prompt_id), [(one.text, one.source) for one in (read.a, read.b)]
    lengths, ends = (_each(read.meta, name, len(sides)) for name in ("num_tokens", "finished"))
    for place, (text, source), length, end in zip(places, sides, lengths, ends, strict=True):
        yield SampledAnswer(prompt_id, read.prompt, place, text, source, length, end)


def _places(row_id: str, prompt_id: str) -> tuple[int, ...]:
    """The numbers of the prompt's answers in a pair, see `row_ids`."""
    first, dash, second = row_id.removeprefix(f"{prompt_id}/").partition("-")
    return (int(first), int(second)) if dash and first.isdecimal() and second.isdecimal() else (0, 1)


def _each(meta: Mapping[str, Any], name: str, num: int) -> Sequence[Any]:
    values = meta.get(name)
    is_whole = isinstance(values, list) and len(values) == num and all(isinstance(value, int) for value in values)
    return values if is_whole else [None] * num  # type: ignore[return-value]


def read_two(
    before: Path | Samples, after: Path | Samples, prompts: Sequence[Prompt] | None = None
) -> tuple[list[Prompt], Answers, Answers]:
    """The prompts, and the answers of both models to them.

    prompts: the prompts that must be answered; None: those of the first file.

    Raises:
        DataError: the answers differ in their prompts, or in their number.
    """
    sides = [_by_prompt(one) for one in (before, after)]
    names = [str(one) if isinstance(one, Path) else f"the {which} samples" for one, which in _named(before, after)]
    if prompts is None:
        prompts = [Prompt(id=key, messages=next(iter(of.values())).prompt) for key, of in sides[0].items()]
    wanted = {prompt_key(prompt.messages): prompt for prompt in prompts}
    if not wanted:
        raise DataError(f"{names[0]}: holds no answer; give a file that `penchant sample` wrote")
    for side, name in zip(sides, names, strict=True):
        if others := [key for key in side if key not in wanted]:
            text = shown(next(iter(side[others[0]].values())).prompt[-1])[:60]
            raise DataError(
                f"{name}: answers {len(others)} prompts that were not asked, the first {text!r}; give two files of "
                "answers to the same prompts"
            )
        if missing := [prompt for key, prompt in wanted.items() if key not in side]:
            text = shown(missing[0].messages[-1])[:60]
            raise DataError(
                f"{name}: has no answer to {len(missing)} of {len(wanted)} prompts, the first {text!r}; give two files "
                "of answers to the same prompts"
            )
    for key, prompt in wanted.items():
        if len(sides[0][key]) != len(sides[1][key]):
            raise DataError(
                f"{names[0]} has {len(sides[0][key])} answers to {shown(prompt.messages[-1])[:60]!r} and {names[1]} "
                f"{len(sides[1][key])}; sample both with the same `num_responses=...`"
            )
    return list(prompts), _told(wanted, sides[0]), _told(wanted, sides[1])


def _named(before: Path | Samples, after: Path | Samples) -> tuple[tuple[Path | Samples, str], ...]:
    return (before, "first"), (after, "second")


def _by_prompt(samples: Path | Samples) -> dict[str, dict[int, SampledAnswer]]:
    """Each answer once, by its prompt's key and its number."""
    found: defaultdict[str, dict[int, SampledAnswer]] = defaultdict(dict)
    for one in answers_in(samples):
        there = found[prompt_key(one.prompt)].setdefault(one.place, one)
        if there.text != one.text:
            name = samples if isinstance(samples, Path) else "samples in memory"
            raise DataError(
                f"{name}: holds two different texts as answer {one.place + 1} to {shown(one.prompt[-1])[:60]!r}; give "
                "the answers of one call of `penchant sample`"
            )
    return dict(found)


def _told(wanted: Mapping[str, Prompt], side: Mapping[str, Mapping[int, SampledAnswer]]) -> Answers:
    of = {prompt.id: [side[key][place] for place in sorted(side[key])] for key, prompt in wanted.items()}
    every = [one for answers in of.values() for one in answers]
    lengths = {key: [one.num_tokens or 0 for one in answers] for key, answers in of.items()}
    ends = {key: [bool(one.finished) for one in answers] for key, answers in of.items()}
    return Answers(
        {key: [one.text for one in answers] for key, answers in of.items()},
        lengths if all(one.num_tokens is not None for one in every) else {},
        ends if all(one.finished is not None for one in every) else {},
    )
