"""Sample responses to prompts as unanswered comparisons: in memory, or into a file that can be resumed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path
from typing import Any

from penchant import ranks
from penchant.data import Candidate, Comparison, Prompt, Source
from penchant.evaluation.authors import Answers, Author, answers_of_all
from penchant.evaluation.sample_lines import found_in, refuse_other_settings, row_ids, write_lines
from penchant.evaluation.samples import Sampled, Samples
from penchant.files.whole import disk_errors_explained
from penchant.wording import SPELT_OUT

__all__ = ["Sampled", "Samples", "sample_prompts", "sample_to_file"]


def sample_prompts(
    author: Author,
    prompts: Sequence[Prompt],
    *,
    num_responses: int = 2,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Samples:
    """Sample `num_responses` to every prompt: one row per pair of responses, or per single response.

    Prompt ids must be unique. Ranks share the prompts. Raises UserError, as the author does.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    source, count = author.source, _Count()
    _require_same(source, prompts)
    for prompt, answers in answers_of_all(author, prompts, num_responses):
        rows[prompt.id] = list(_rows(prompt, answers, source))
        count.take(prompt, answers)
        on_progress(len(rows), len(prompts))
    in_order = tuple(row for prompt in prompts for row in rows[prompt.id])
    return Samples(in_order, count.num_identical, count.num_tokens, count.num_refused)


def sample_to_file(
    author: Author,
    prompts: Sequence[Prompt],
    output: Path,
    *,
    num_responses: int = 2,
    resume: bool = False,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Sampled:
    """Sample `num_responses` to every prompt, and write one JSON line per pair, in the prompts' order.

    With one response a line is a prompt with its completion. Lines are appended as prompts finish, so an interrupted
    run continues with resume=True; at the end the file is sorted. Lines of other prompts keep their content and place.
    Prompt ids must be unique. Ranks share the prompts, and the first writes. Raises OutputError, before writing
    anything (see `found_in`) or if the disk is full, and the author's errors; what was already written is kept.
    """
    source = author.source
    _require_same(source, prompts)
    written: dict[str, list[bytes]] = {}

    def begin() -> list[str]:
        """Start, keeping an earlier call's lines; returns the ids of the prompts it answered."""
        written.update(_kept(output, prompts, source, num_responses, resume=resume))
        output.parent.mkdir(parents=True, exist_ok=True)
        write_lines(output, chain.from_iterable(written.values()))
        return [prompt.id for prompt in prompts if prompt.id in written]

    count = _Count()
    with disk_errors_explained(output):
        is_there = set(ranks.first(begin))
        todo = [prompt for prompt in prompts if prompt.id not in is_there]
        num_found = len(prompts) - len(todo)
        with output.open("ab") if ranks.is_first() else nullcontext() as file:
            answered = answers_of_all(author, todo, num_responses)
            for num_done, (prompt, answers) in enumerate(answered, start=num_found + 1):
                rows = _rows(prompt, answers, source)
                count.take(prompt, answers)
                if file is not None:
                    lines = [json.dumps(row, ensure_ascii=False).encode(errors=SPELT_OUT) + b"\n" for row in rows]
                    written[prompt.id] = lines
                    file.write(b"".join(lines))
                    file.flush()
                on_progress(num_done, len(prompts))
        ranks.first(lambda: _put_in_order(output, prompts, written))
    return Sampled(
        len(todo) - count.num_refused,
        num_found,
        count.num_identical,
        count.num_tokens,
        count.num_refused,
        count.first_refused,
    )


def _kept(
    output: Path, prompts: Sequence[Prompt], source: Source, num_responses: int, *, resume: bool
) -> dict[str, list[bytes]]:
    """Complete rows of an earlier call by prompt id, and the rows of other prompts."""
    found = found_in(output, prompts, num_responses, resume=resume)
    for line in chain.from_iterable(found.values()):
        refuse_other_settings(line, source)
    ids, num_rows = {prompt.id for prompt in prompts}, len(row_ids("", num_responses))
    is_kept = {key: key not in ids or len(lines) == num_rows for key, lines in found.items()}
    return {key: [line.text for line in lines] for key, lines in found.items() if is_kept[key]}


def _put_in_order(output: Path, prompts: Sequence[Prompt], written: Mapping[str, Sequence[bytes]]) -> None:
    """Sort our rows, among the places they occupy between the others."""
    ids, ours = {prompt.id for prompt in prompts}, iter(prompts)
    in_order = [written[next(ours).id] if key in ids else lines for key, lines in written.items()]
    write_lines(output, chain.from_iterable(in_order))


def _require_same(source: Source, prompts: Sequence[Prompt]) -> None:
    """Raise ConfigError where a rank's model or prompts differ from the first's."""
    text = json.dumps([[prompt.id, *(message.model_dump() for message in prompt.messages)] for prompt in prompts])
    asked = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    ranks.require_same({"a model": source.model, "prompts": asked})


@dataclass
class _Count:
    """Counts over the prompts answered so far."""

    num_identical: int = 0
    num_tokens: int = 0
    num_refused: int = 0
    first_refused: str = ""

    def take(self, prompt: Prompt, answers: Answers) -> None:
        self.num_identical += answers.identical
        self.num_tokens += sum(num or 0 for num in answers.num_tokens)
        self.num_refused += bool(answers.refused)
        if answers.refused and not self.first_refused:
            self.first_refused = f"{prompt.origin or f'prompt {prompt.id}'}: {answers.refused}"


def _rows(prompt: Prompt, answers: Answers, source: Source) -> Iterator[dict[str, Any]]:
    texts, num_tokens, finished = answers.texts, answers.num_tokens, answers.finished
    if answers.refused:
        return
    if len(texts) == 1:
        yield {
            "id": prompt.id,
            "prompt": [message.model_dump() for message in prompt.messages],
            "completion": texts[0],
            "source": source.model_dump(),
            "meta": {"num_tokens": [num_tokens[0]], "finished": [finished[0]]},
        }
        return
    pairs = combinations(range(len(texts)), 2)
    for row_id, (i, j) in zip(row_ids(prompt.id, len(texts)), pairs, strict=True):
        comparison = Comparison(
            id=row_id,
            prompt=prompt.messages,
            a=Candidate(text=texts[i], source=source),
            b=Candidate(text=texts[j], source=source),
            meta={
                "prompt_id": prompt.id,
                "num_tokens": [num_tokens[i], num_tokens[j]],
                "finished": [finished[i], finished[j]],
                "identical": texts[i] == texts[j],
            },
        )
        yield comparison.model_dump(mode="json", exclude_none=True)
