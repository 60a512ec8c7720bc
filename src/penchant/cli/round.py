"""`penchant round`: one round: sample, vote, train, compare; resumable, and a chain of models over time."""

from pathlib import Path

from penchant.cli import options
from penchant.cli.declaring import argument, flag, flattened, option


def command(
    *,
    folder: Path = argument("The folder of all rounds; made where there is none."),
    model: str | None = option("The model that the first round starts from.", "--model -m"),
    prompts: str | None = option("A file of prompts, or everyday-train.", "--prompts -p"),
    judge: str | None = option("Who answers: positivity, module:function, reward:FOLDER, run:FOLDER, http://..."),
    judging: options.Judging,
    people: Path | None = option("Instead of a judge: the annotation project in which people are asked."),
    min_votes: int | None = option("With --people: go on after this many answers.", shown="all", min=1),
    held_out: float | None = option("Share of prompts kept for measuring.", shown="0.2", min=0.01, max=0.99),
    temperature: float | None = option(
        "Randomness; 0 always takes the likeliest token.", "--temperature -t", shown="1"
    ),
    top_p: float | None = option("Only the likeliest tokens that together have this share; 1: all.", shown="1"),
    top_k: int | None = option("Only this many of the likeliest tokens; 0: all.", shown="0"),
    max_new_tokens: int | None = option("Longest response, in tokens.", shown="128", min=1),
    max_prompts: int | None = options.MAX_PROMPTS,
    seed: int | None = option("Decides what is held out and all that is drawn at random.", shown="0"),
    settings: list[str] | None = option("A setting of penchant dpo; may be repeated.", "--set", metavar="KEY=VALUE"),
    loading: options.Loading,
    show: bool = flag("--list", "Show the rounds in the folder, and do nothing else."),
) -> None:
    """Do one round: sample from the current model, have the responses compared, train, measure.

    The first round starts from --model, each later one from the model that the round before trained. Some prompts are
    never trained on, in any round: on them each round's model is compared with the one it started from. With --people
    a round waits until enough comparisons are answered.

    If a round is interrupted, give the same command again, or only `penchant round FOLDER`: it continues where it
    stopped. Options that are left out stay as they were.

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
            raise ConfigError("--list shows what there is and reads no other option; leave them out")
        print_table(*table_of_folder(folder.resolve()))
        return
    with Reporter() as reporter, interruption_explained():
        reporter.say(str(run_round(folder, reporter=reporter, **given)))
