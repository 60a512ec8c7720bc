"""The stages of a round, in order; each is done once, and what it wrote is known by its digest ever after."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from penchant.cli import round_marks, round_train
from penchant.cli.console import Reporter
from penchant.cli.round_people import ask_people, prefix_of_tasks
from penchant.cli.round_plan import Plan, Round
from penchant.cli.round_report import finish_round
from penchant.evaluation.judges.options import JudgeOptions

if TYPE_CHECKING:
    from penchant.data import Comparison

__all__ = ["Call", "Stage", "judge_of", "next_stage", "stages", "turn"]


@dataclass(frozen=True)
class Call:
    """What one call of the command adds to the plan: how it asks, and when enough people have answered."""

    say: Callable[[str], None]
    concurrency: int | None = None
    timeout: float | None = None
    min_votes: int | None = None


@dataclass(frozen=True)
class Stage:
    """do: writes the files, going on with what a killed call left; says what is missing if it cannot finish now.

    asks: whether people may answer, and --min-votes says how many answers are enough.
    """

    name: str
    title: str
    files: tuple[str, ...]
    do: Callable[[Round, Call], str | None]
    asks: bool = False


def stages() -> tuple[Stage, ...]:
    """One round, stage by stage. The last stage writes round.json, which ends the round."""
    return (
        Stage("sample", "two responses to every training prompt", ("samples.jsonl",), _sample),
        Stage("vote", "which of the two is better", ("votes.jsonl",), _vote, asks=True),
        Stage("train", "from the answers to a model", ("run/run.json", "run/model/*.safetensors"), _train),
        Stage("answer", "held-out prompts, before and after", ("answers.jsonl",), _answer),
        Stage("compare", "which model answered better", ("verdicts.jsonl",), _compare, asks=True),
        Stage("report", "what came of it", ("report.html", "round.json"), _report),
    )


def turn(this: Round, call: Call) -> str | None:
    """Do every stage that is not done; returns what is missing where the round has to wait. Raises UserError."""
    for stage in stages():
        if round_marks.is_done(this, stage.name):
            call.say(f"round {this.number}, {stage.name}: done already")
            continue
        call.say(f"round {this.number}, {stage.name}: {stage.title}")
        if missing := stage.do(this, call):
            return missing
        facts = {"min_votes": call.min_votes} if stage.asks else {}
        round_marks.mark(this, stage.name, stage.files, **facts)
    return None


def next_stage(this: Round) -> str:
    """The name of the first stage that is not done; nothing is verified."""
    return next((stage.name for stage in stages() if not round_marks.has_mark(this, stage.name)), "report")


def _sample(this: Round, call: Call) -> None:
    round_train.sample_responses(this)


def _vote(this: Round, call: Call) -> str | None:
    return _collect(this, call, "samples.jsonl", "votes.jsonl")


def _train(this: Round, call: Call) -> None:
    round_train.train_on_votes(this)


def _answer(this: Round, call: Call) -> None:
    with Reporter() as reporter:
        round_train.answer_held_out(this, reporter)


def _compare(this: Round, call: Call) -> str | None:
    return _collect(this, call, "answers.jsonl", "verdicts.jsonl", is_held_out=True)


def _report(this: Round, call: Call) -> None:
    finish_round(this)


def _collect(this: Round, call: Call, asked: str, answered: str, *, is_held_out: bool = False) -> str | None:
    """Have a file of comparisons answered, by the judge at once or by people as soon as they have."""
    from penchant.evaluation.judges import judge_to_file, read_comparisons, tally
    from penchant.evaluation.judges.counts import in_words

    comparisons, output = read_comparisons(this.path / asked), this.path / answered
    if this.plan.people is not None:
        prefix = prefix_of_tasks(this, this.path / asked, is_held_out=is_held_out)
        votes, missing = ask_people(comparisons, Path(this.plan.people), prefix, call.min_votes)
        if missing:
            return (
                f"{missing} more of {len(comparisons)} comparisons must be answered; ask people with\n"
                f"  penchant annotate {shlex.quote(this.plan.people)}\n"
                f"and call penchant round again; in the project they are called {prefix}/..."
            )
        _write(output, votes)
        return None
    with Reporter() as reporter:
        judge = judge_of(this.plan).open(
            reporter,
            concurrency=call.concurrency,
            timeout=call.timeout,
            device=this.plan.device,
            dtype=this.plan.dtype,
        )

        def shown(done: int, total: int) -> None:
            reporter.progress(f"judging {asked}", done, total, {})

        votes = judge_to_file(judge, comparisons, output, resume=True, on_progress=shown)
        for line in in_words(tally(votes), judge.name):
            reporter.say(line)
    return None


def judge_of(plan: Plan) -> JudgeOptions:
    """The judge of a plan."""
    assert plan.judge is not None, "people answer otherwise"
    return JudgeOptions(plan.judge, plan.judge_model, plan.instructions, plan.epsilon, plan.judge_reference)


def _write(path: Path, comparisons: Sequence[Comparison]) -> None:
    from penchant.files.whole import write_atomically

    rows = [row.model_dump(mode="json", exclude_none=True) for row in comparisons]
    write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
