"""`penchant reward`: from a file of preferences to a reward model."""

from penchant.cli import options
from penchant.cli.declaring import option


def command(
    *,
    data: list[str] | None = options.PREFERENCES,
    place: options.Place,
    centring: float | None = option(
        "Weight of the term that takes the mean of rewards to zero; 0.01 is usual.", shown="0"
    ),
    learning_rate: float | None = option("The highest, after the warm-up.", shown="1e-5; with LoRA 1e-4"),
    epochs: int | None = options.EPOCHS,
    batch_size: int | None = options.PAIRS_IN_A_STEP,
    pairs: options.Pairs,
    start: options.Start,
    rows: options.PairRows,
    run: options.SharedRun,
) -> None:
    """Train a reward model: a language model whose head gives one number for a response, higher for better.

    It is trained on the likelihood of the preferences (Bradley and Terry), and what is written is loaded by
    transformers' AutoModelForSequenceClassification. It judges by --judge reward:FOLDER and scores pairs.

    [bold]Examples[/bold]
        penchant reward --model smollm2-135m --data pairs.jsonl --output runs/reward
        penchant reward -m ./my-sft -d pairs.jsonl -o runs/reward --lora --centring 0.01
        penchant score --model runs/reward --data held_out.jsonl
    """
    given = locals()
    from penchant.cli.training import begin
    from penchant.training.config import RewardConfig

    with begin(RewardConfig, given) as (checked, reporter):
        from penchant.training.other_runs import reward

        reporter.say(*reward(config=checked, labels=rows.labels, resume=run.resume, progress=reporter).in_words())
