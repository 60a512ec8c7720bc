"""`penchant sample`: two responses to every prompt, to be compared."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from penchant.cli import options

__all__ = ["NAME", "command"]

NAME = "sample"


def command(
    prompts: Annotated[
        str, typer.Option("--prompts", "-p", help="A file of prompts, or everyday-train, everyday-test.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file of JSON lines to write.")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help=f"{options.MODEL_HELP} Several may be given; each writes a file, numbered in their order.",
            show_default="smollm2-135m, where no endpoint is given",
        ),
    ] = None,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            help="The address of an OpenAI-compatible server that answers, as http://localhost:8000/v1.",
            show_default="none",
        ),
    ] = None,
    endpoint_model: Annotated[
        list[str] | None,
        typer.Option(
            help="What the server calls its model; one for each --endpoint, or several of one.", show_default="none"
        ),
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Prompts that an endpoint is asked at once.", show_default="16")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds that an endpoint may stay silent.", show_default="120")
    ] = None,
    num_responses: Annotated[
        int, typer.Option(min=1, help="Responses to each prompt; every two make a comparison.")
    ] = 2,
    temperature: options.Temperature = 0.8,
    top_p: options.TopP = 1.0,
    top_k: options.TopK = 0,
    max_new_tokens: options.MaxNewTokens = 256,
    max_prompts: options.MaxPrompts = None,
    columns: options.Columns = None,
    format: options.Format = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=1, help="Responses sampled at once.", show_default="64")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same responses.")] = 0,
    device: options.Device = None,
    dtype: options.Dtype = None,
    chat_template: options.ChatTemplate = None,
    special_tokens: options.SpecialTokens = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the interrupted file in --output.")] = False,
) -> None:
    """Sample responses from a model and write them as comparisons that wait for an answer.

    [bold]Examples[/bold]

        penchant sample --prompts everyday-train --output samples.jsonl

        penchant sample --model runs/first --prompts my.jsonl --temperature 1 --top-p 0.95 --output more.jsonl

        penchant sample -m large -m runs/first --prompts questions.txt --output both.jsonl

        penchant sample --prompts questions.txt --num-responses 4 --max-new-tokens 64 --output four.jsonl

        penchant sample --endpoint http://localhost:8000/v1 --endpoint-model qwen -p questions.txt -o qwen.jsonl
    """
    from penchant.cli.console import Reporter
    from penchant.data.prompt_sets import read_prompts
    from penchant.evaluation.sample_lines import found_in
    from penchant.evaluation.sampling_options import SamplingOptions
    from penchant.files.place import require_place
    from penchant.models.sampler import SamplingParams

    authors = SamplingOptions(
        SamplingParams(temperature, top_p, top_k, max_new_tokens, seed),
        tuple(model or ()),
        tuple(endpoint or ()),
        tuple(endpoint_model or ()),
        concurrency=concurrency,
        timeout=timeout,
        batch_size=batch_size,
        device=device,
        dtype=dtype,
        chat_template=chat_template,
        special_tokens=special_tokens,
    ).authors()
    require_place(output)
    asked = read_prompts(prompts, max_prompts, Reporter().say, columns=columns, format=format)
    outputs = [output] if len(authors) == 1 else [_numbered(output, number) for number in range(1, len(authors) + 1)]
    for path in outputs:
        found_in(path, asked, num_responses, resume=resume)  # refused here, no model is loaded in vain
    for open_author, path in zip(authors, outputs, strict=True):
        with Reporter() as reporter:
            author = open_author(asked, reporter)
            from penchant.evaluation.candidates import sample_to_file

            begin = time.perf_counter()
            reporter.progress("sampling", 0, len(asked), {})
            done = sample_to_file(
                author,
                asked,
                path,
                num_responses=num_responses,
                resume=resume,
                on_progress=lambda n, total, reporter=reporter: reporter.progress("sampling", n, total, {}),  # type: ignore[misc]
            )
            for line in done.in_words(time.perf_counter() - begin):
                reporter.say(line)
            reporter.say(f"samples {path}")


def _numbered(output: Path, number: int) -> Path:
    """The file of one of several models: samples.jsonl is samples-1.jsonl, samples-2.jsonl, in their order."""
    return output.with_name(f"{output.stem}-{number}{output.suffix}")
