"""`penchant judge`: a judge answers comparisons in place of a person."""

from pathlib import Path
from typing import Any

from penchant.cli import options
from penchant.cli.declaring import argument, option


def command(
    *,
    comparisons: Path = argument("A file of comparisons, as written by `penchant sample`."),
    output: Path = option("JSON Lines file to write: the answered comparisons.", "--output -o", default=...),
    judge: str = option(
        "positivity, reward:FOLDER, run:FOLDER, module:function (which runs its code) or a URL.",
        default="positivity",
    ),
    judging: options.Judging,
    people: Path | None = option("Comparisons answered by people, to measure the judge's agreement."),
    device: str | None = options.DEVICE,
    dtype: str | None = options.DTYPE,
    resume: bool = options.RESUME,
) -> None:
    """Answer comparisons with a judge that stands in for a person.

    A judge is a function that scores responses (the default, positivity, prefers positive words) or prefers one of two,
    a reward model, the implicit reward of a trained run, or a language model behind an OpenAI-compatible endpoint. A
    judge that prefers is asked in both orders. The endpoint's API key is read only from the environment variable
    PENCHANT_JUDGE_KEY. No person is asked; --people measures how far the judge agrees with people.

    [bold]Examples[/bold]
        penchant judge samples.jsonl --judge positivity --output votes.jsonl
        penchant judge samples.jsonl --judge reward:runs/reward --output votes.jsonl
        penchant judge samples.jsonl --judge run:runs/first --output votes.jsonl
        penchant judge samples.jsonl --judge http://localhost:8000/v1 --judge-model qwen --output votes.jsonl --resume
        penchant judge samples.jsonl --output votes.jsonl --people answers.jsonl
    """
    import penchant
    from penchant.cli.console import Reporter

    how: dict[str, Any] = {"device": device, "dtype": dtype, "people": people, "resume": resume}
    with Reporter() as reporter:
        penchant.judge(comparisons, judge, output=output, **vars(judging), **how, progress=reporter)
