"""`penchant rlhf`: from prompts and a judge's scores to an aligned model."""

from penchant.cli import options
from penchant.cli.declaring import option


def command(
    *,
    data: list[str] | None = options.PROMPTS,
    judge: str | None = option("What scores responses: positivity, reward:FOLDER, module:function, or a URL."),
    place: options.Place,
    method: str | None = option("Algorithm: rloo, grpo, ppo or best_of_n.", shown="rloo"),
    price: float | None = option("KL penalty: score lost per nat of KL from the reference.", "--beta", shown="0.05"),
    num_responses: int | None = option("Responses per prompt.", shown="4"),
    max_new_tokens: int | None = option("Maximum tokens per response.", shown="128"),
    judge_model: str | None = options.JUDGE_MODEL,
    reference: str | None = option("Reference model of the KL penalty.", shown="the model before training"),
    learning_rate: float | None = option("Peak learning rate.", shown="1e-6; with LoRA 1e-5"),
    epochs: int | None = option("Passes over the prompts.", shown="1"),
    max_steps: int | None = option("Maximum number of steps.", shown="all"),
    batch_size: int | None = option("Prompts per step.", shown="8"),
    max_rows: int | None = option("Use only this many prompts.", "--max-prompts", shown="all"),
    start: options.Start,
    fields: options.Fields,
    run: options.SharedRun,
) -> None:
    """Train a model by reinforcement learning on a judge's scores, with a KL penalty that keeps it near a reference.

    [bold]Examples[/bold]
        penchant rlhf --prompts everyday-train --judge positivity --output runs/sunny
        penchant rlhf -m runs/sft -p my.jsonl --judge reward:runs/reward -o runs/rloo --beta 0.1
        penchant rlhf -m runs/sft -p my.jsonl --judge my_judges:brevity -o runs/grpo --method grpo --num-responses 8
    """
    given = locals()
    import penchant
    from penchant.cli.training import begin
    from penchant.online.config import RLHFConfig

    of_sampling = ("judge", "judge_model", "num_responses", "max_new_tokens")
    own = {"rlhf.method": method, "rlhf.beta": price, **{f"sampling.{name}": given[name] for name in of_sampling}}
    with begin(RLHFConfig, given, own) as (checked, reporter):
        reporter.say(*penchant.rlhf(config=checked, resume=run.resume, progress=reporter).in_words())
