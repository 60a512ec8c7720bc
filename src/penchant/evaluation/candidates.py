"""Responses sampled for prompts, written down as comparisons that wait for an answer; resumable."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from penchant.data import Candidate, Comparison, Prompt, Source
from penchant.errors import OutputError
from penchant.models.generate import Request
from penchant.models.language_model import LanguageModel
from penchant.models.pair_sampling import ResponseGroup, sample_pairs
from penchant.models.sampler import SamplingParams

__all__ = ["Sampled", "sample_to_file", "source_of"]


@dataclass(frozen=True)
class Sampled:
    """What came of it: prompts answered now and found answered, pairs that stayed identical, tokens sampled."""

    num_prompts: int
    num_found: int
    num_identical: int
    num_tokens: int


def source_of(model: LanguageModel, params: SamplingParams) -> Source:
    """Who wrote a candidate: the model by digest, and how it was sampled."""
    return Source(
        model=f"{model.name}@{model.digest[:12]}",
        temperature=params.temperature,
        top_p=params.top_p,
        top_k=params.top_k,
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
    run goes on with resume=True; at the end the file is put in order. Raises OutputError.
    """
    source = source_of(model, params)
    written = _found(output, source, num_responses, resume)
    todo = [prompt for prompt in prompts if prompt.id not in written]
    by_id = {prompt.id: prompt for prompt in prompts}
    requests = [Request(tuple(model.encoder.encode_prompt(p.messages)), p.id) for p in todo]
    num_identical = num_tokens = 0
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("a", encoding="utf-8") as file:
        for group in sample_pairs(model, requests, params, num_responses=num_responses, batch_size=batch_size):
            prompt = by_id[group.request.key]
            rows = list(_rows(model, prompt, group, source))
            written[prompt.id] = rows
            num_identical += group.identical
            num_tokens += sum(len(response.token_ids) for response in group.responses)
            file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
            file.flush()
            on_progress(len(written), len(prompts))
        os.fsync(file.fileno())
    _put_in_order(output, [row for prompt in prompts for row in written[prompt.id]])
    return Sampled(len(todo), len(prompts) - len(todo), num_identical, num_tokens)


def _rows(model: LanguageModel, prompt: Prompt, group: ResponseGroup, source: Source) -> Iterator[dict[str, Any]]:
    responses = group.responses
    texts = [model.encoder.decode(response.token_ids).strip() for response in responses]
    if len(responses) == 1:
        yield {
            "id": prompt.id,
            "prompt": [message.model_dump() for message in prompt.messages],
            "completion": texts[0],
            "source": source.model_dump(),
            "meta": {"num_tokens": [len(responses[0].token_ids)], "finished": [responses[0].finished]},
        }
        return
    for i, j in combinations(range(len(responses)), 2):
        pair = (responses[i], responses[j])
        comparison = Comparison(
            id=prompt.id if len(responses) == 2 else f"{prompt.id}/{i}-{j}",
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


def _found(output: Path, source: Source, num_responses: int, resume: bool) -> dict[str, list[dict[str, Any]]]:
    """Rows of an earlier run by prompt; prompts of which not every row arrived are left out."""
    if not output.exists():
        return {}
    if not resume:
        raise OutputError(f"{output}: exists already; pass --resume to go on with it, or another --output")
    rows: dict[str, list[dict[str, Any]]] = {}
    for number, line in enumerate(output.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        try:
            row = json.loads(line)
            theirs = Source.model_validate(row["source"] if "source" in row else row["a"]["source"])
            key = row["id"] if "source" in row else row["meta"]["prompt_id"]
        except (ValueError, KeyError, TypeError):
            continue  # a torn last line; its prompt is sampled again
        if theirs != source:
            raise OutputError(
                f"{output}:{number}: was sampled from {theirs.model} with other settings ({_settings(theirs)}, now "
                f"{source.model}, {_settings(source)}); use the same, or choose another --output"
            )
        rows.setdefault(key, []).append(row)
    complete = 1 if num_responses == 1 else num_responses * (num_responses - 1) // 2
    kept = {key: found for key, found in rows.items() if len(found) == complete}
    _put_in_order(output, [row for found in kept.values() for row in found])
    return kept


def _settings(source: Source) -> str:
    return f"temperature {source.temperature}, top_p {source.top_p}, top_k {source.top_k}, seed {source.seed}"


def _put_in_order(output: Path, rows: Sequence[dict[str, Any]]) -> None:
    scratch = output.with_name(f".{output.name}.writing")
    with scratch.open("w", encoding="utf-8") as file:
        file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, output)
