"""Read and write samples as lines of a file; an earlier call's lines are checked and kept unchanged."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from pydantic import BaseModel

from penchant.data import Comparison, Message, Prompt, Source
from penchant.errors import OutputError
from penchant.files import writing
from penchant.process import was_restarted

__all__ = ["SampleLine", "found_in", "refuse_other_settings", "row_ids", "write_lines"]


@dataclass(frozen=True)
class SampleLine:
    """A line and its content. where: file:line. is_pair: two responses, not one. text: its bytes, with the line end."""

    where: str
    id: str
    prompt_id: str
    messages: tuple[Message, ...]
    source: Source
    is_pair: bool
    text: bytes


class _Completion(BaseModel):
    id: str
    prompt: tuple[Message, ...]
    completion: str
    source: Source


def row_ids(prompt_id: str, num_responses: int) -> list[str]:
    """The ids of a prompt's rows, in order: its own if there is one row, else with the numbers of the two responses."""
    if num_responses <= 2:
        return [prompt_id]
    return [f"{prompt_id}/{i}-{j}" for i, j in combinations(range(num_responses), 2)]


def found_in(
    output: Path, prompts: Sequence[Prompt], num_responses: int, *, resume: bool
) -> dict[str, list[SampleLine]]:
    """The lines of an earlier call by prompt id, requested now or not; a torn last line is ignored.

    An interrupted call may have left only some lines of a prompt. Raises OutputError for an existing file without
    resume, a line that is no sample, one with another number of responses, and one with another prompt under the id of
    one of these.
    """
    if not output.exists():
        return {}
    if not (resume or was_restarted()):
        raise OutputError(f"{output}: exists already; give `resume=True` to continue it, or another `output=...`")
    asked = {prompt.id: prompt.messages for prompt in prompts}
    found: dict[str, list[SampleLine]] = {}
    for line in _lines(output):
        lines = found.setdefault(line.prompt_id, [])
        lines.append(line)
        ids = row_ids(line.prompt_id, num_responses)
        if line.is_pair != (num_responses > 1) or [one.id for one in lines] != ids[: len(lines)]:
            raise OutputError(
                f"{line.where}: is not a row that `num_responses={num_responses}` writes; pass the number that it was "
                "sampled with, or choose another `output=...`"
            )
        if asked.get(line.prompt_id, line.messages) != line.messages:
            raise OutputError(
                f"{line.where}: answers another prompt with the id {line.prompt_id!r}; give every prompt its own id, "
                "or choose another `output=...`"
            )
    return found


def refuse_other_settings(line: SampleLine, source: Source) -> None:
    """Raise OutputError if the line has other sampling settings; older files do not record the length limit."""
    theirs = line.source
    limit = theirs.max_new_tokens or source.max_new_tokens
    if theirs.model_copy(update={"max_new_tokens": limit}) != source:
        raise OutputError(
            f"{line.where}: was sampled from {theirs.model} with other settings ({_settings(theirs)}, now "
            f"{source.model}, {_settings(source)}); use the same, or choose another `output=...`"
        )


def write_lines(output: Path, lines: Iterable[bytes]) -> None:
    """Replace the file by these lines, atomically."""
    with writing(output) as stream:
        stream.writelines(lines)


def _lines(output: Path) -> Iterator[SampleLine]:
    try:
        *whole, last = output.read_bytes().split(b"\n")
    except OSError as error:
        raise OutputError(f"{output}: cannot be read ({error.strerror}); choose another `output=...`") from error
    for number, text in enumerate([*whole, b"" if _is_torn(last) else last], start=1):
        if text.strip():
            yield _read(text, f"{output}:{number}")


def _is_torn(last: bytes) -> bool:
    """Whether the text after the last line end is the beginning of a row."""
    try:
        json.loads(last)
    except ValueError:
        return last.startswith(b"{")
    return False


def _read(text: bytes, where: str) -> SampleLine:
    try:
        row = json.loads(text)
        if is_pair := "completion" not in row:
            pair = Comparison.model_validate(row)
            prompt_id, messages, source = str(pair.meta["prompt_id"]), pair.prompt, pair.a.source
        else:
            single = _Completion.model_validate(row)
            prompt_id, messages, source = single.id, single.prompt, single.source
        if source is None:
            raise ValueError("nobody knows how it was sampled")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise OutputError(
            f"{where}: is not a row that `penchant sample` wrote; fix or remove it, or choose another `output=...`"
        ) from error
    return SampleLine(where, row["id"], prompt_id, messages, source, is_pair, text + b"\n")


def _settings(source: Source) -> str:
    return (
        f"temperature {source.temperature}, top_p {source.top_p}, top_k {source.top_k}, "
        f"max_new_tokens {source.max_new_tokens or 'not known'}, seed {source.seed}"
    )
