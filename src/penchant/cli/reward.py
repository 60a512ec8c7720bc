"""`penchant reward`: from a file of preferences to a reward model."""

from penchant.cli import options
from penchant.cli.declaring import option


def command(
    *,
    data: list[str] | None = options.PREFERENCES,
    place: options.Place,
    centring: float | None = option(
        "Weight of the penalty that keeps the mean reward near zero; 0.01 is usual.", shown="0"
    ),
    learning_rate: float | None = option("Peak learning rate.", shown="1e-5; with LoRA 1e-4"),
    epochs: int | None = options.EPOCHS,
    batch_size: int | None = options.PAIRS_IN_A_STEP,
    pairs: options.Pairs,
    start: options.Start,
    rows: options.PairRows,
    run: options.SharedRun,
) -> None:
    """Train a reward model: a language model whose head gives each response one score, higher for better.

    Training maximises the Bradley-Terry likelihood of the preferences. The run folder's model loads with transformers'
    AutoModelForSequenceClassification. Use it with `penchant score`, or as a judge: --judge reward:FOLDER.

    [bold]Examples[/bold]
        penchant reward --model smollm2-135m --data pairs.jsonl --output runs/reward
        penchant reward -m ./my-sft -d pairs.jsonl -o runs/reward --lora --centring 0.01
        penchant score --model runs/reward --data held_out.jsonl
    """
    given = locals()
    from penchant.cli.training import begin
    from penchant.training.config import RewardConfig

    with begin(RewardConfig, given) as (checked, reporter):
        import penchant

        reporter.say(
            *penchant.reward(config=checked, labels=rows.labels, resume=run.resume, progress=reporter).in_words()
        )
