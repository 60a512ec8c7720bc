"""`penchant judge`: a stand-in for a person answers comparisons."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penchant.cli import options

if TYPE_CHECKING:
    from penchant.cli.console import Reporter
    from penchant.data import Comparison
    from penchant.evaluation.judges import Judge
    from penchant.evaluation.judging import Tally

__all__ = [
    "NAME",
    "Concurrency",
    "Epsilon",
    "Instructions",
    "JudgeModel",
    "JudgeOptions",
    "JudgeReference",
    "Timeout",
    "command",
    "describe",
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
        "--epsilon", min=0, help="Scores that differ by no more are a tie.", show_default="0; for run: 0.001 nats"
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
        typer.Option(help="positivity, module:function of your own (which runs its code), run:FOLDER, or http://..."),
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

    A judge is a function that scores responses (the default, positivity, likes sunny words), the reward that a trained
    run holds, or a language model behind an OpenAI-compatible endpoint, which is asked in both orders. The endpoint's
    key is read from the environment variable PENCHANT_JUDGE_KEY alone. No person
    is asked; --people shows how far the judge agrees with people.

    [bold]Examples[/bold]

        penchant judge samples.jsonl --judge positivity --output votes.jsonl

        penchant judge samples.jsonl --judge run:runs/first --output votes.jsonl

        penchant judge samples.jsonl --judge http://localhost:8000/v1 --judge-model qwen --output votes.jsonl --resume

        penchant judge samples.jsonl --output votes.jsonl --people answers.jsonl
    """
    from penchant.cli.console import Reporter
    from penchant.errors import ConfigError, DataError
    from penchant.evaluation.judging import judge_to_file, num_kept, read_comparisons, tally
    from penchant.evaluation.judging_people import shared_answers
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
        for line in describe(tally(votes), opened.name):
            reporter.say(line)
        for line in _agreement(votes, by_people) if by_people else ():
            reporter.say(line)
        reporter.say(f"votes   {output}")


@dataclass(frozen=True)
class JudgeOptions:
    """What says which judge it is, and so how it answers. instructions: the text, not the file."""

    judge: str
    judge_model: str | None = None
    instructions: str | None = None
    epsilon: float | None = None
    judge_reference: str | None = None

    @property
    def kind(self) -> str:
        """endpoint, run or function."""
        is_endpoint = self.judge.startswith(("http://", "https://"))
        return "endpoint" if is_endpoint else "run" if self.judge.startswith("run:") else "function"

    def check(self, **settings: object) -> None:
        """Refuse options that the judge does not read. Raises ConfigError.

        settings: concurrency and timeout; device and dtype only where nothing but the judge would read them.
        """
        from penchant.errors import ConfigError

        readers = {
            "judge_model": ("endpoint",),
            "instructions": ("endpoint",),
            "concurrency": ("endpoint",),
            "timeout": ("endpoint",),
            "epsilon": ("function", "run"),
            "judge_reference": ("run",),
            "device": ("run",),
            "dtype": ("run",),
        }
        names = {"endpoint": "an endpoint (--judge http://...)", "run": "a run", "function": "a function that scores"}
        for name, kinds in readers.items():
            if settings.get(name, getattr(self, name, None)) is not None and self.kind not in kinds:
                whose = " or ".join(names[kind] for kind in kinds)
                raise ConfigError(
                    f"--{name.replace('_', '-')} is for {whose}, and the judge is {self.judge!r}; leave it out"
                )
        if self.kind == "endpoint" and not self.judge_model:
            raise ConfigError("--judge-model: an endpoint serves models by name; say which one judges")

    def open(
        self,
        reporter: Reporter,
        *,
        concurrency: int | None = None,
        timeout: float | None = None,
        device: str | None = None,
        dtype: str | None = None,
    ) -> Judge:
        """The judge, ready to be asked. Raises UserError."""
        self.check(concurrency=concurrency, timeout=timeout)
        if self.kind == "endpoint":
            return self._endpoint(concurrency or 4, timeout or 120.0)
        return self._run(device, dtype, reporter) if self.kind == "run" else self._function()

    def _function(self) -> Judge:
        from dataclasses import replace

        from penchant.errors import ConfigError
        from penchant.evaluation.judges import load_judge

        try:
            judge = load_judge(self.judge)
        except ValueError as error:
            raise ConfigError(f"--judge: {error}") from error
        if self.epsilon is None:
            return judge
        return replace(judge, name=f"{judge.name}, epsilon {self.epsilon:g}", epsilon=self.epsilon)

    def _endpoint(self, concurrency: int, timeout: float) -> Judge:
        from penchant.evaluation.endpoint import KEY_VARIABLE, Endpoint
        from penchant.evaluation.judging_endpoint import EndpointJudge

        endpoint = Endpoint(self.judge, str(self.judge_model), os.environ.get(KEY_VARIABLE), timeout)
        return EndpointJudge(endpoint, self.instructions, concurrency)

    def _run(self, device: str | None, dtype: str | None, reporter: Reporter) -> Judge:
        from penchant.cli.loading import load
        from penchant.cli.score import _beta_of
        from penchant.evaluation.judging_reward import EPSILON, RewardJudge
        from penchant.evaluation.references import find_reference, ledger_of, require_reference

        path = self.judge.removeprefix("run:")
        ledger = ledger_of(path) or {}
        require_reference(path, self.judge_reference, "judge_reference")
        policy = load(path, device, dtype, None, reporter, special_tokens="text")
        source = find_reference(path, policy, self.judge_reference, "judge_reference")
        reference = None if source.is_adapter_off else source.load(reporter.say)
        against = "" if reference is None else f" against {reference.digest[:12]}"
        epsilon = EPSILON if self.epsilon is None else self.epsilon
        longest = int(ledger.get("config", {}).get("data", {}).get("max_length", 1024))
        return RewardJudge(
            name=f"run:{policy.digest[:12]}{against}, epsilon {epsilon:g}",
            policy=policy,
            reference=reference,
            beta=_beta_of(ledger, reporter),
            max_length=min(longest, policy.context_length),
            epsilon=epsilon,
        )


def read_instructions(path: Path | None) -> str | None:
    """The text of --instructions. Raises ConfigError."""
    from penchant.errors import ConfigError
    from penchant.reading import read_text

    if path is None:
        return None
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"--instructions {path}: cannot be read ({reason}); give a text file") from error
    if not text.strip():
        raise ConfigError(f"--instructions {path}: is empty; write what the judge should weigh, or leave it out")
    return text


def describe(counts: Tally, name: str) -> list[str]:
    """What a judge answered, as lines."""
    shown = ", ".join(f"{num} {outcome}" for outcome, num in counts.outcomes.items() if num)
    lines = [f"{sum(counts.outcomes.values())} comparisons answered by the stand-in '{name}': {shown}"]
    if counts.num_identical:
        lines.append(f"{counts.num_identical} had identical responses: ties")
    if counts.num_unreadable:
        lines.append(f"{counts.num_unreadable} got an answer that cannot be read, or no score: ties")
    if counts.num_refused:
        lines.append(f"{counts.num_refused} of them the server refused; meta.judge says why")
    if bias := counts.position_bias:
        lines.append(
            f"position bias {bias.rate:.1%} (95% interval {bias.low:.1%} to {bias.high:.1%}): of {bias.num} asked in "
            f"both orders, {counts.num_first} went to the first place twice and {counts.num_second} to the second: ties"
        )
    if counts.num_disagreed:
        lines.append(f"{counts.num_disagreed} more got one answer in one order and another in the other: ties")
    return lines


def _agreement(votes: Sequence[Comparison], people: Sequence[Comparison]) -> list[str]:
    from penchant.evaluation.judging_people import Estimate, agreement_with_people, shared_answers

    def shown(of: Estimate, form: str) -> str:
        if of.value is None:
            return f"not defined: {of.reason}"
        if of.low is None:
            return f"{form.format(of.value)} (no interval: one comparison)"
        return f"{form.format(of.value)} (95% interval {form.format(of.low)} to {form.format(of.high)})"

    found = agreement_with_people(shared_answers(votes, people))
    lines = [
        f"people gave {found.num_answers} answers to {found.num_comparisons} of these comparisons",
        f"agreement      {shown(found.share, '{:.1%}')}",
        f"Cohen's kappa  {shown(found.kappa, '{:.3f}')}",
    ]
    if (rate := found.decided) is not None:
        lines.append(
            f"where both preferred a side, the same one in {rate.rate:.1%} "
            f"(95% interval {rate.low:.1%} to {rate.high:.1%}, {rate.num} answers)"
        )
    return lines
