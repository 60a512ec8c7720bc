"""Responses sampled for prompts as comparisons that wait for an answer: in memory, or in a file that can be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path
from typing import Any

from penchant.data import Candidate, Comparison, Prompt, Source
from penchant.evaluation.sample_lines import found_in, refuse_other_settings, row_ids, write_lines
from penchant.files.whole import disk_errors_explained
from penchant.models.generate import Request
from penchant.models.language_model import LanguageModel
from penchant.models.pair_sampling import ResponseGroup, sample_pairs
from penchant.models.sampler import SamplingParams
from penchant.wording import SPELT_OUT

__all__ = ["Sampled", "Samples", "sample_prompts", "sample_to_file", "source_of"]


@dataclass(frozen=True)
class Sampled:
    """What came of it: prompts answered now and found answered; of those answered now, on how many two responses
    stayed identical, and the tokens sampled."""

    num_prompts: int
    num_found: int
    num_identical: int
    num_tokens: int

    def in_words(self, seconds: float) -> list[str]:
        """The same as lines. seconds: that the sampling took."""
        found = f" ({self.num_found} were there)" if self.num_found else ""
        lines = [f"{self.num_prompts} prompts answered{found}, {self.num_tokens} tokens in {seconds:.0f} s"]
        if self.num_identical:
            lines.append(f"{self.num_identical} prompts got identical responses, flagged; a higher temperature helps")
        return lines


@dataclass(frozen=True)
class Samples:
    """What a model answered, in the prompts' order.

    rows: as they are written to a file; pairs of responses, or prompts with their one completion. num_identical: on how
    many prompts two responses stayed identical. num_tokens: sampled.
    """

    rows: tuple[dict[str, Any], ...]
    num_identical: int
    num_tokens: int

    @property
    def comparisons(self) -> list[Comparison]:
        """Pairs of responses that wait for an answer; none where there was one response to each prompt."""
        return [Comparison.model_validate(row) for row in self.rows if "completion" not in row]


def source_of(model: LanguageModel, params: SamplingParams) -> Source:
    """Who wrote a candidate: the model by digest, and how it was sampled."""
    return Source(
        model=f"{model.name}@{model.digest[:12]}",
        temperature=params.temperature,
        top_p=params.top_p,
        top_k=params.top_k,
        max_new_tokens=params.max_new_tokens,
        seed=params.seed,
    )


def sample_prompts(
    model: LanguageModel,
    prompts: Sequence[Prompt],
    params: SamplingParams,
    *,
    num_responses: int = 2,
    batch_size: int = 64,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Samples:
    """Sample `num_responses` for every prompt: a row for every pair of them, or for the one that there is.

    What repeats an earlier response's text is sampled again, see `sample_pairs`. The prompts' ids must differ. Raises
    ConfigError for a setting that means nothing, ModelError for a prompt that leaves no room in the model's context.
    """
    source = source_of(model, params)
    rows: dict[str, list[dict[str, Any]]] = {}
    num_identical = num_tokens = 0
    for prompt, group in _groups(model, prompts, params, num_responses, batch_size):
        rows[prompt.id] = list(_rows(model, prompt, group, source))
        num_identical += group.identical
        num_tokens += group.num_tokens
        on_progress(len(rows), len(prompts))
    return Samples(tuple(row for prompt in prompts for row in rows[prompt.id]), num_identical, num_tokens)


def sample_to_file(
    model: LanguageModel,
    prompts: Sequence[Prompt],
    params: SamplingParams,
    output: Path,
    *,
    num_responses: int = 2,
    batch_size: int = 64,
    resume: bool = False,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Sampled:
    """Sample `num_responses` for every prompt and write one JSON line for every pair of them, in the prompts' order.

    With one response a line is a prompt with its completion. Lines are appended as prompts finish, so an interrupted
    run goes on with resume=True; at the end the file is put in order. Lines of other prompts stay as and where they
    are. The prompts' ids must differ. Raises OutputError, before it writes anything (see `found_in`) or where the disk
    takes no more; what was written before is kept.
    """
    source = source_of(model, params)
    found = found_in(output, prompts, num_responses, resume=resume)
    for line in chain.from_iterable(found.values()):
        refuse_other_settings(line, source)
    by_id = {prompt.id: prompt for prompt in prompts}
    num_rows = len(row_ids("", num_responses))
    is_kept = {key: key not in by_id or len(lines) == num_rows for key, lines in found.items()}
    written = {key: [line.text for line in lines] for key, lines in found.items() if is_kept[key]}
    todo = [prompt for prompt in prompts if prompt.id not in written]
    num_found = len(prompts) - len(todo)
    num_identical = num_tokens = 0
    with disk_errors_explained(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        write_lines(output, chain.from_iterable(written.values()))
        with output.open("ab") as file:
            groups = _groups(model, todo, params, num_responses, batch_size)
            for num_done, (prompt, group) in enumerate(groups, start=num_found + 1):
                rows = _rows(model, prompt, group, source)
                lines = [json.dumps(row, ensure_ascii=False).encode(errors=SPELT_OUT) + b"\n" for row in rows]
                written[prompt.id] = lines
                num_identical += group.identical
                num_tokens += group.num_tokens
                file.write(b"".join(lines))
                file.flush()
                on_progress(num_done, len(prompts))
        ours = iter(prompts)  # in their order, in the places that they have among the others
        in_order = [written[next(ours).id] if key in by_id else lines for key, lines in written.items()]
        write_lines(output, chain.from_iterable(in_order))
    return Sampled(len(todo), num_found, num_identical, num_tokens)


def _groups(
    model: LanguageModel, prompts: Sequence[Prompt], params: SamplingParams, num_responses: int, batch_size: int
) -> Iterator[tuple[Prompt, ResponseGroup]]:
    """The responses to each prompt, in the order in which they are complete."""
    by_id = {prompt.id: prompt for prompt in prompts}
    requests = [Request(tuple(model.encoder.encode_prompt(p.messages)), p.id) for p in prompts]
    for group in sample_pairs(model, requests, params, num_responses=num_responses, batch_size=batch_size):
        yield by_id[group.request.key], group


def _rows(model: LanguageModel, prompt: Prompt, group: ResponseGroup, source: Source) -> Iterator[dict[str, Any]]:
    responses = group.responses
    prompt_ids = group.request.prompt_ids
    texts = [model.encoder.decode_response(prompt_ids, response.token_ids) for response in responses]
    if len(responses) == 1:
        yield {
            "id": prompt.id,
            "prompt": [message.model_dump() for message in prompt.messages],
            "completion": texts[0],
            "source": source.model_dump(),
            "meta": {"num_tokens": [len(responses[0].token_ids)], "finished": [responses[0].finished]},
        }
        return
    pairs = combinations(range(len(responses)), 2)
    for row_id, (i, j) in zip(row_ids(prompt.id, len(responses)), pairs, strict=True):
        pair = (responses[i], responses[j])
        comparison = Comparison(
            id=row_id,
            prompt=prompt.messages,
            a=Candidate(text=texts[i], source=source),
            b=Candidate(text=texts[j], source=source),
            meta={
                "prompt_id": prompt.id,
                "num_tokens": [len(r.token_ids) for r in pair],
                "finished": [r.finished for r in pair],
                "identical": texts[i] == texts[j],
            },
        )
        yield comparison.model_dump(mode="json", exclude_none=True)
