"""`penchant round`: one round: sample, vote, train, compare; resumable, and a chain of models over time."""

from pathlib import Path

from penchant.cli import options
from penchant.cli.declaring import argument, flag, flattened, option


def command(
    *,
    folder: Path = argument("The folder of all rounds; created if missing."),
    model: str | None = option("The model that the first round starts from.", "--model -m"),
    prompts: str | None = option("A file of prompts, or everyday-train.", "--prompts -p"),
    judge: str | None = option("What judges: positivity, reward:FOLDER, run:FOLDER, module:function or a URL."),
    judging: options.Judging,
    people: Path | None = option("Instead of a judge: the annotation project where people answer."),
    min_votes: int | None = option("With --people: continue after this many answers.", shown="all", min=1),
    held_out: float | None = option("Fraction of prompts held out for evaluation.", shown="0.2", min=0.01, max=0.99),
    temperature: float | None = option("Sampling temperature; 0 is greedy decoding.", "--temperature -t", shown="1"),
    top_p: float | None = option("Nucleus sampling: total probability of the tokens kept; 1: all.", shown="1"),
    top_k: int | None = option("Keep only this many of the most likely tokens; 0: all.", shown="0"),
    max_new_tokens: int | None = option("Maximum tokens per response.", shown="128", min=1),
    max_prompts: int | None = options.MAX_PROMPTS,
    seed: int | None = option("Seed of the held-out split and of everything random.", shown="0"),
    settings: list[str] | None = option("A setting of penchant dpo; may be repeated.", "--set", metavar="KEY=VALUE"),
    loading: options.Loading,
    show: bool = flag("--list", "List the rounds in the folder and exit."),
) -> None:
    """Run one round: sample from the current model, have the responses compared, train, evaluate.

    The first round starts from --model, each later one from the model that the previous round trained. Some prompts are
    held out of every round: on them, each round's model is compared with the one it started from. With --people, a
    round waits until enough comparisons are answered.

    To continue an interrupted round, give the same command again, or only `penchant round FOLDER`. Options left out
    keep their values.

    [bold]Examples[/bold]
        penchant round wheel --model smollm2-135m --prompts everyday-train --judge positivity
        penchant round wheel
        penchant round wheel --model runs/first --prompts my.jsonl --people votes --set dpo.beta=0.05
        penchant round wheel --list
    """
    given = flattened(locals())
    from penchant.cli.console import Reporter
    from penchant.cli.round_shown import interruption_explained
    from penchant.cli.tables import print_table
    from penchant.errors import ConfigError
    from penchant.evaluation.judges.instructions import read_instructions
    from penchant.rounds import run_round, table_of_folder

    del given["folder"], given["show"]
    given |= {"instructions": read_instructions(judging.instructions), "settings": settings or None}
    if show:
        if any(value is not None for value in given.values()):
            raise ConfigError("--list shows the rounds of a folder and reads no other option; leave the others out")
        print_table(*table_of_folder(folder.resolve()))
        return
    with Reporter() as reporter, interruption_explained():
        reporter.say(str(run_round(folder, reporter=reporter, **given)))
