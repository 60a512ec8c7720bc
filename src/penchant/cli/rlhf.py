"""`penchant rlhf`: from prompts and a judge's scores to an aligned model."""

from __future__ import annotations

from typing import Annotated

import typer

from penchant.cli import options

__all__ = ["NAME", "command"]

NAME = "rlhf"


def command(
    prompts: options.PromptFiles = None,
    judge: Annotated[
        str | None,
        typer.Option(help="What scores responses: positivity, reward:FOLDER, module:function, or an endpoint."),
    ] = None,
    output: Annotated[str | None, typer.Option("--output", "-o", help="The run folder to write.")] = None,
    model: options.ModelSetting = None,
    config: options.ConfigFile = None,
    method: Annotated[str | None, typer.Option(help="rloo, grpo, ppo or best_of_n.", show_default="rloo")] = None,
    beta: Annotated[
        float | None, typer.Option(help="The price of a nat of KL, in units of the score.", show_default="0.05")
    ] = None,
    num_responses: Annotated[int | None, typer.Option(help="Responses to each prompt.", show_default="4")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="Most tokens of a response.", show_default="128")] = None,
    judge_model: options.JudgeModel = None,
    reference: Annotated[
        str | None, typer.Option(help="What the KL is measured from.", show_default="the model before training")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The highest, after the warm-up.", show_default="1e-6; with LoRA 1e-5")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Times through the prompts.", show_default="1")] = None,
    max_steps: Annotated[int | None, typer.Option(help="At most so many steps.", show_default="all")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Prompts in one step.", show_default="8")] = None,
    max_prompts: Annotated[int | None, typer.Option(help="Use only this many prompts.", show_default="all")] = None,
    lora: Annotated[bool, typer.Option("--lora", help="Train a low-rank adapter instead of all weights.")] = False,
    seed: options.TrainingSeed = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    chat_template: options.ChatTemplate = None,
    special_tokens: options.SpecialTokens = None,
    columns: options.Columns = None,
    format: options.Format = None,
    settings: options.Settings = None,
    tracker: options.Trackers = None,
    resume: options.Resume = False,
) -> None:
    """Train a model by reinforcement learning on a judge's scores, held to a reference by a KL penalty.

    [bold]Examples[/bold]

        penchant rlhf --prompts everyday-train --judge positivity --output runs/sunny

        penchant rlhf -m runs/sft -p my.jsonl --judge reward:runs/reward -o runs/rloo --beta 0.1

        penchant rlhf -m runs/sft -p my.jsonl --judge my_judges:brevity -o runs/grpo --method grpo --num-responses 8
    """
    given = locals()
    from penchant.cli.training import begin, show
    from penchant.online.config import RLHFConfig
    from penchant.training.arguments import SETTING_OF

    flags = {name: given[name] for name in SETTING_OF if name in given and name != "beta"}
    flags |= {"data": prompts, "lora": lora or None, "max_rows": max_prompts}
    own = {
        "rlhf.method": method,
        "rlhf.beta": beta,
        "sampling.judge": judge,
        "sampling.judge_model": judge_model,
        "sampling.num_responses": num_responses,
        "sampling.max_new_tokens": max_new_tokens,
    }
    with begin(RLHFConfig, flags, config, settings, tracker, own) as (checked, reporter):
        from penchant.online.run import run_rlhf

        show(run_rlhf(checked, reporter, resume=resume), reporter)
