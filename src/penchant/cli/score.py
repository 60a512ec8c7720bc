"""`penchant score`: the model as a reward model, on pairs that people judged."""

from pathlib import Path

import typer

from penchant.cli import options
from penchant.cli.declaring import flattened, option

NUM_SHOWN = 10
SAME = (
    *("reference", "beta", "max_pairs", "max_length", "special_tokens", "on_bad_row", "device", "dtype"),
    *("chat_template", "columns", "format", "pairing", "min_gap"),
)


def command(
    *,
    model: str = option(options.MODEL_HELP, "--model -m", default=...),
    data: list[str] = option("Preference files or vote projects; may be repeated.", "--data -d", default=...),
    output: str | None = option("JSON Lines file to write; - for standard output.", "--output -o"),
    reference: str | None = option("The reference model.", shown="the run's"),
    beta: float | None = option("Scale of the implicit reward.", shown="the run's"),
    max_pairs: int | None = option("Use only this many pairs, the first ones.", shown="all", min=1),
    max_length: int | None = option("Maximum tokens of prompt plus response.", shown="the run's, else 1024", min=8),
    special_tokens: str | None = options.SPECIAL_TOKENS,
    on_bad_row: str = option(options.BAD_ROWS, default="drop"),
    reading: options.Reading,
    loading: options.Loading,
    processes: int = options.PROCESSES,
) -> None:
    """Score pairs with a reward model, or with a model's implicit reward: its log-probability relative to a reference.

    Shows the reward of both responses, the margin, the probability that chosen beats rejected, and how often the model
    agrees with the preferences. A run folder records its reference and beta (the implicit reward is beta times the gain
    in log-probability); a reward model needs neither; for other models give --reference.

    [bold]Examples[/bold]
        penchant score --model runs/first --data held_out.jsonl
        penchant score --model runs/first --data held_out.jsonl --output scores.jsonl
        penchant score --model runs/reward --data held_out.jsonl
        penchant score --model ./aligned --reference ./sft --beta 0.1 --data held_out.jsonl --output - | jq .margin
    """
    given = flattened(locals())
    import penchant
    from penchant.cli.console import Reporter
    from penchant.cli.tables import print_parts
    from penchant.files import require_new
    from penchant.launching import launch

    if output not in (None, "-"):
        require_new(Path(str(output)))
    launch(processes, afterwards="run the command again")
    with Reporter() as reporter:
        scores = penchant.score(model, data, **{name: given[name] for name in SAME}, progress=reporter)
    if output == "-":
        typer.echo(scores.as_lines(), nl=False)
    elif output is not None:
        scores.write(Path(output))
    from penchant.evaluation.results_in_words import score_parts

    print_parts(score_parts(scores, most=NUM_SHOWN), to_stderr=output == "-")
