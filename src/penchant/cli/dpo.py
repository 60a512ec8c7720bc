"""`penchant dpo`: from a file of preferences to an aligned model."""

import typer

from penchant.cli import options
from penchant.cli.declaring import flag, flattened, option
from penchant.errors import ConfigError


def command(
    *,
    data: list[str] | None = options.PREFERENCES,
    place: options.Place,
    preset: str | None = option(
        "Start from a published recipe; other options override it. List: `penchant objectives --presets`.", shown="none"
    ),
    objective: str | None = option("The loss to minimise; `penchant objectives` lists them.", shown="dpo"),
    beta: float | None = option("Strength of the KL penalty.", shown="the objective's own; 0.1 for dpo"),
    learning_rate: float | None = option(
        "Peak learning rate.", shown="1e-5 for short runs to 5e-7 for long; with LoRA 10x"
    ),
    epochs: int | None = options.EPOCHS,
    batch_size: int | None = options.PAIRS_IN_A_STEP,
    pairs: options.Pairs,
    start: options.Start,
    rows: options.PairRows,
    online: bool = flag("--online", "Make pairs during training: sample answers to --prompts, compare with --judge."),
    prompts: list[str] | None = options.PROMPTS,
    judge: str | None = option("With --online: positivity, reward:FOLDER, run:FOLDER, module:function, URL."),
    judge_model: str | None = options.JUDGE_MODEL,
    run: options.SharedRun,
    advise: bool = flag("--advise", "Suggest settings for this data and model, without training."),
) -> None:
    """Train a model on preferences by Direct Preference Optimization.

    [bold]Examples[/bold]
        penchant dpo --model smollm2-135m --data pairs.jsonl --output runs/first
        penchant dpo -m ./my-sft -d pairs.jsonl -o runs/lora --lora --epochs 2 --beta 0.05
        penchant dpo --config runs/first/config.yaml --output runs/ipo --objective ipo_mean
        penchant dpo --data pairs.jsonl --preset tulu3 --learning-rate 1e-6 --output runs/tulu3
        penchant dpo --data ./votes --labels soft --output runs/people
        penchant dpo --online --prompts everyday-train --judge positivity --output runs/online
        penchant dpo --data pairs.jsonl --output runs/first --resume
        penchant dpo --data pairs.jsonl --advise
    """
    given = flattened(locals())
    from penchant.cli.training import begin
    from penchant.training.config import DPOConfig

    unread = ("data", "labels", "advise") if online else ("prompts", "judge", "judge_model")
    if name := next((name for name in unread if given[name]), None):
        raise ConfigError(f"`{name}=...` is not read {'with' if online else 'without'} `online=True`; leave it out")
    given |= {"data": prompts} if online else {}
    own = {"sampling.judge": judge, "sampling.judge_model": judge_model}
    with begin(DPOConfig, given, own, writes=not advise) as (checked, reporter):
        import penchant

        if advise:
            typer.echo("\n".join(map(str, penchant.advise(None, None, config=checked, progress=reporter))))
            return
        judged = penchant.Online.of(checked) if online else None
        found = penchant.dpo(config=checked, online=judged, labels=rows.labels, resume=run.resume, progress=reporter)
        reporter.say(*found.in_words())
