"""Responses sampled for prompts, written down as comparisons that wait for an answer; resumable."""

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

__all__ = ["Sampled", "sample_to_file", "source_of"]


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
    requests = [Request(tuple(model.encoder.encode_prompt(p.messages)), p.id) for p in todo]
    num_found = len(prompts) - len(todo)
    num_identical = num_tokens = 0
    with disk_errors_explained(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        write_lines(output, chain.from_iterable(written.values()))
        with output.open("ab") as file:
            groups = sample_pairs(model, requests, params, num_responses=num_responses, batch_size=batch_size)
            for num_done, group in enumerate(groups, start=num_found + 1):
                rows = _rows(model, by_id[group.request.key], group, source)
                lines = [json.dumps(row, ensure_ascii=False).encode(errors=SPELT_OUT) + b"\n" for row in rows]
                written[group.request.key] = lines
                num_identical += group.identical
                num_tokens += sum(len(response.token_ids) for response in group.responses)
                file.write(b"".join(lines))
                file.flush()
                on_progress(num_done, len(prompts))
        ours = iter(prompts)  # in their order, in the places that they have among the others
        in_order = [written[next(ours).id] if key in by_id else lines for key, lines in written.items()]
        write_lines(output, chain.from_iterable(in_order))
    return Sampled(len(todo), num_found, num_identical, num_tokens)


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
