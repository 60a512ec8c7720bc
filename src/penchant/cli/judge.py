"""`penchant judge`: a stand-in for a person answers comparisons."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from penchant.cli import options

__all__ = [
    "NAME",
    "Concurrency",
    "Epsilon",
    "Instructions",
    "JudgeModel",
    "JudgeReference",
    "Timeout",
    "command",
    "read_instructions",
]

NAME = "judge"

JudgeModel = Annotated[str | None, typer.Option("--judge-model", help="For an endpoint: the name of its model.")]
Instructions = Annotated[
    Path | None,
    typer.Option(
        "--instructions", help="For an endpoint: a file that says how to judge.", show_default="Penchant's own"
    ),
]
Epsilon = Annotated[
    float | None,
    typer.Option(
        "--epsilon",
        min=0,
        help="Scores that differ by no more are a tie.",
        show_default="0; for run: 0.001 nats; for reward: 0.0001",
    ),
]
JudgeReference = Annotated[
    str | None,
    typer.Option("--judge-reference", help="For run: the reference to compare with.", show_default="the run's"),
]
Concurrency = Annotated[
    int | None,
    typer.Option("--concurrency", min=1, max=64, help="For an endpoint: comparisons asked at once.", show_default="4"),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout", min=0.1, max=86_400, help="For an endpoint: seconds it may stay silent.", show_default="120"
    ),
]


def command(
    comparisons: Annotated[Path, typer.Argument(help="Comparisons, as `penchant sample` writes them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The answered comparisons, JSON lines.")],
    judge: Annotated[
        str,
        typer.Option(
            help="positivity, reward:FOLDER, run:FOLDER, module:function of your own (which runs its code), http://..."
        ),
    ] = "positivity",
    judge_model: JudgeModel = None,
    instructions: Instructions = None,
    epsilon: Epsilon = None,
    judge_reference: JudgeReference = None,
    concurrency: Concurrency = None,
    timeout: Timeout = None,
    people: Annotated[
        Path | None, typer.Option(help="Comparisons that people answered, to see how far the judge agrees with them.")
    ] = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the interrupted file in --output.")] = False,
) -> None:
    """Answer comparisons with a judge that stands in for a person.

    A judge is a function that scores responses (the default, positivity, likes sunny words), a reward model, the reward
    that a trained run holds, or a language model behind an OpenAI-compatible endpoint, which is asked in both orders.
    The endpoint's key is read from the environment variable PENCHANT_JUDGE_KEY alone. No person is asked; --people
    shows how far the judge agrees with people.

    [bold]Examples[/bold]

        penchant judge samples.jsonl --judge positivity --output votes.jsonl

        penchant judge samples.jsonl --judge reward:runs/reward --output votes.jsonl

        penchant judge samples.jsonl --judge run:runs/first --output votes.jsonl

        penchant judge samples.jsonl --judge http://localhost:8000/v1 --judge-model qwen --output votes.jsonl --resume

        penchant judge samples.jsonl --output votes.jsonl --people answers.jsonl
    """
    from penchant.cli.console import Reporter
    from penchant.errors import ConfigError, DataError
    from penchant.evaluation.judges import JudgeOptions, judge_to_file, read_comparisons, tally
    from penchant.evaluation.judges.agreement import agreement_in_words, shared_answers
    from penchant.evaluation.judges.counts import in_words
    from penchant.evaluation.judges.judging import num_kept
    from penchant.training.interrupt import Interrupted

    chosen = JudgeOptions(judge, judge_model, read_instructions(instructions), epsilon, judge_reference)
    chosen.check(concurrency=concurrency, timeout=timeout, device=device, dtype=dtype)
    asked = read_comparisons(comparisons)
    if output.resolve() == comparisons.resolve():
        raise ConfigError(f"--output {output}: is the file of comparisons itself; choose another --output")
    by_people = [] if people is None else read_comparisons(people)
    if people is not None and not shared_answers(asked, by_people):
        raise DataError(f"{people}: answers none of the comparisons in {comparisons}; give answers to the same texts")
    with Reporter() as reporter:
        opened = chosen.open(reporter, concurrency=concurrency, timeout=timeout, device=device, dtype=dtype)
        try:
            votes = judge_to_file(
                opened,
                asked,
                output,
                resume=resume,
                on_progress=lambda done, total: reporter.progress("judging", done, total, {}),
            )
        except KeyboardInterrupt:
            kept = f"{num_kept(output)} of {len(asked)} answers are kept"
            raise Interrupted(signal.SIGINT, f"interrupted, {kept}; go on with --resume") from None
        for line in in_words(tally(votes), opened.name):
            reporter.say(line)
        for line in agreement_in_words(votes, by_people) if by_people else ():
            reporter.say(line)
        reporter.say(f"votes   {output}")


def read_instructions(path: Path | None) -> str | None:
    """The text of --instructions. Raises ConfigError."""
    from penchant.errors import ConfigError
    from penchant.reading import read_given

    text = read_given(path, "instructions", "a text file")
    if text is not None and not text.strip():
        raise ConfigError(f"--instructions {path}: is empty; write what the judge should weigh, or leave it out")
    return text
