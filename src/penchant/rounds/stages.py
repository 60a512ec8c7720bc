"""The stages of a round, in order; each runs once, and its files are protected by digests afterwards."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from penchant.evaluation.judges import JudgeOptions, judge_to_file, read_comparisons, tally
from penchant.evaluation.judges.counts import in_words
from penchant.evaluation.judges.lines import as_line
from penchant.files import write_atomically
from penchant.progress import Reporter, counted
from penchant.rounds import finished_stages, model_stages
from penchant.rounds.people import ask_people, prefix_of_tasks
from penchant.rounds.plan import Plan, Round
from penchant.rounds.summary import finish_round

__all__ = ["Call", "Stage", "Waiting", "judge_of", "next_stage", "run_stages", "stages"]


@dataclass(frozen=True)
class Call:
    """The options of one call besides the plan: progress, how to ask a judge, and how many answers suffice."""

    reporter: Reporter
    concurrency: int | None = None
    timeout: float | None = None
    min_votes: int | None = None


@dataclass(frozen=True)
class Waiting:
    """A round waits for num_missing more of num_comparisons answers of people, in the project at this path.

    tasks: the prefix of its task names there.
    """

    num_missing: int
    num_comparisons: int
    project: str
    tasks: str


@dataclass(frozen=True)
class Stage:
    """do: writes the files, resuming a killed call; returns what it waits for if it cannot finish now.

    asks: whether people may answer, so that min_votes says how many answers suffice.
    """

    name: str
    title: str
    files: tuple[str, ...]
    do: Callable[[Round, Call], Waiting | None]
    asks: bool = False


def stages() -> tuple[Stage, ...]:
    """The stages of one round. The last one writes round.json, which ends the round."""
    return (
        Stage("sample", "two responses to every training prompt", ("samples.jsonl",), _sample),
        Stage("vote", "which of the two is better", ("votes.jsonl",), _vote, asks=True),
        Stage("train", "from the answers to a model", ("run/run.json", "run/model/*.safetensors"), _train),
        Stage("answer", "held-out prompts, before and after", ("answers.jsonl",), _answer),
        Stage("compare", "which model answered better", ("verdicts.jsonl",), _compare, asks=True),
        Stage("report", "what came of it", ("report.html", "round.json"), _report),
    )


def run_stages(this: Round, call: Call) -> Waiting | None:
    """Run every unfinished stage, until one has to wait. Raises UserError."""
    for stage in stages():
        if finished_stages.is_finished(this, stage.name):
            call.reporter.say(f"round {this.number}, {stage.name}: done already")
            continue
        call.reporter.say(f"round {this.number}, {stage.name}: {stage.title}")
        if waiting := stage.do(this, call):
            return waiting
        facts = {"min_votes": call.min_votes} if stage.asks else {}
        finished_stages.note_finished(this, stage.name, stage.files, **facts)
    return None


def next_stage(this: Round) -> str:
    """The name of the first stage that is not finished; nothing is verified."""
    return next((stage.name for stage in stages() if not finished_stages.has_note(this, stage.name)), "report")


def _computing() -> AbstractContextManager[None]:
    """See `penchant.models.numerics.computing`; imported here, as listing rounds needs no torch."""
    from penchant.models.numerics import computing

    return computing()


def _sample(this: Round, call: Call) -> None:
    with _computing():
        model_stages.sample_responses(this, call.reporter)


def _vote(this: Round, call: Call) -> Waiting | None:
    return _collect(this, call, "samples.jsonl", "votes.jsonl")


def _train(this: Round, call: Call) -> None:
    with _computing():
        model_stages.train_on_votes(this, call.reporter)


def _answer(this: Round, call: Call) -> None:
    with _computing():
        model_stages.answer_held_out(this, call.reporter)


def _compare(this: Round, call: Call) -> Waiting | None:
    return _collect(this, call, "answers.jsonl", "verdicts.jsonl", is_held_out=True)


def _report(this: Round, call: Call) -> None:
    finish_round(this)


def _collect(this: Round, call: Call, asked: str, answered: str, *, is_held_out: bool = False) -> Waiting | None:
    """Have a file of comparisons answered, by the judge now or by people when they have time."""
    comparisons, output = read_comparisons(this.path / asked), this.path / answered
    if this.plan.people is not None:
        prefix = prefix_of_tasks(this, this.path / asked, is_held_out=is_held_out)
        votes, missing = ask_people(comparisons, Path(this.plan.people), prefix, call.min_votes)
        if missing:
            return Waiting(missing, len(comparisons), this.plan.people, prefix)
        write_atomically(output, "".join(map(as_line, votes)))
        return None
    judge = judge_of(this.plan).open(
        call.reporter,
        concurrency=call.concurrency,
        timeout=call.timeout,
        device=this.plan.device,
        dtype=this.plan.dtype,
    )
    shown = counted(call.reporter, f"judging {asked}")
    votes = judge_to_file(judge, comparisons, output, resume=True, on_progress=shown)
    for line in in_words(tally(votes), judge.name):
        call.reporter.say(line)
    return None


def judge_of(plan: Plan) -> JudgeOptions:
    """The judge of a plan."""
    assert plan.judge is not None, "people answer otherwise"
    return JudgeOptions(plan.judge, plan.judge_model, plan.instructions, plan.epsilon, plan.judge_reference)
