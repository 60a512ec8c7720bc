"""`penchant sample`: two responses to every prompt, to be compared."""

from pathlib import Path
from typing import Any

from penchant.cli import options
from penchant.cli.declaring import option

WARM = options.Sampling(temperature=0.8, max_new_tokens=256)
"""So that two responses differ."""


def command(
    *,
    prompts: str = option("A file of prompts, or everyday-train, everyday-test.", "--prompts -p", default=...),
    output: Path = option("The JSON Lines file to write.", "--output -o", default=...),
    model: list[str] | None = option(
        f"{options.MODEL_HELP} May be repeated; each model writes its own numbered file.",
        "--model -m",
        shown="smollm2-135m, unless an endpoint is given",
    ),
    endpoint: list[str] | None = option(
        "Sample from this OpenAI-compatible server, for example http://localhost:8000/v1.", shown="none"
    ),
    endpoint_model: list[str] | None = option(
        "The server's name for the model; one per --endpoint, or several for a single endpoint.", shown="none"
    ),
    concurrency: int | None = option("Concurrent requests to an endpoint.", shown="16", min=1),
    timeout: float | None = option("Timeout of an endpoint in seconds.", shown="120"),
    num_responses: int = option("Responses per prompt; every two make a comparison.", default=2, min=1),
    sampling: options.Sampling = WARM,
    max_prompts: int | None = options.MAX_PROMPTS,
    fields: options.Fields,
    batch_size: int | None = option("Responses sampled in one batch.", shown="64", min=1),
    seed: int = option("The same seed gives the same responses.", default=0, min=0),
    loading: options.Loading,
    special_tokens: str | None = options.SPECIAL_TOKENS,
    resume: bool = options.RESUME,
    processes: int = options.PROCESSES,
) -> None:
    """Sample responses from a model and write them as comparisons to be judged.

    [bold]Examples[/bold]
        penchant sample --prompts everyday-train --output samples.jsonl
        penchant sample --model runs/first --prompts my.jsonl --temperature 1 --top-p 0.95 --output more.jsonl
        penchant sample -m large -m runs/first --prompts questions.txt --output both.jsonl
        penchant sample --prompts questions.txt --num-responses 4 --max-new-tokens 64 --output four.jsonl
        penchant sample --endpoint http://localhost:8000/v1 --endpoint-model qwen -p questions.txt -o qwen.jsonl
    """
    given = locals()
    import penchant
    from penchant.cli.console import Reporter
    from penchant.data.prompt_sets import read_prompts
    from penchant.evaluation.sample_lines import found_in
    from penchant.evaluation.sampling_options import SamplingOptions
    from penchant.files.place import require_place
    from penchant.launching import launch
    from penchant.models.sampler import SamplingParams

    who = SamplingOptions(
        output,
        tuple(model or ()),
        tuple(endpoint or ()),
        tuple(endpoint_model or ()),
        **{name: given[name] for name in ("concurrency", "timeout", "batch_size", "special_tokens")},
        **vars(loading),
    )
    calls = who.calls()
    SamplingParams(**vars(sampling), seed=seed)  # refused before a prompt is read
    how: dict[str, Any] = {"num_responses": num_responses, "resume": resume}
    require_place(output)
    launch(processes)
    asked = read_prompts(prompts, max_prompts, Reporter().say, **vars(fields))
    for call in calls:  # refused here, no model is loaded in vain
        found_in(call["output"], asked, **how)
    with Reporter() as reporter:
        for call in calls:
            penchant.sample(prompts=asked, **call, **how, **vars(sampling), seed=seed, progress=reporter)
