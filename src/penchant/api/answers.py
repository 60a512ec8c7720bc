"""Load a model by its name, and build preference pairs from the answers of models."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from penchant.data.pair_building import BuildingRule, Choice, Order, Paired
from penchant.errors import ConfigError
from penchant.evaluation.judges import Scorer
from penchant.evaluation.pairs import pairs_from
from penchant.evaluation.policies import AnyModel
from penchant.evaluation.samples import Samples
from penchant.models.language_model import LanguageModel
from penchant.models.load import load_model, read_chat_template
from penchant.models.numerics import choose_numerics, computing
from penchant.progress import Reporter, reporter_of
from penchant.tokens import SpecialTokens
from penchant.training.given import ModelLike, path_of
from penchant.training.trained import Run

__all__ = ["load", "pair"]


def load(
    model: ModelLike,
    *,
    device: str = "auto",
    dtype: str = "auto",
    chat_template: str | None = None,
    special_tokens: SpecialTokens = "refuse",
    progress: bool | Reporter = True,
) -> LanguageModel:
    """Load a language model: a starter model, a Hugging Face folder, a run, a .gguf file or a Hub name.

    Args:
        model: its name or path; a loaded model is returned unchanged.
        device: "auto", "cpu", "cuda" or "mps".
        dtype: "auto", "float32" or "bfloat16": precision of matrix products; weights are fp32.
        chat_template: "plain" for a model of raw text, or the path of a Jinja template; None: the tokenizer's own.
        special_tokens: "refuse", "text" or "control": how to treat text that spells a special token.
        progress: see `penchant.dpo`.

    Raises:
        ModelError: there is no such model, or it cannot be used. ConfigError: an option has an invalid value.
    """
    if isinstance(model, Run):
        return model.model
    if isinstance(model, LanguageModel):
        return model
    reporter, template = reporter_of(progress), read_chat_template(chat_template)
    with computing():
        numerics = choose_numerics(device, dtype)
        name = path_of(model, "model", "the name or path of a model")
        if name is None:
            raise ConfigError("model is None; give the name or path of a model")
        return load_model(name, numerics, chat_template=template, special_tokens=special_tokens, say=reporter.say)


def pair(
    samples: Samples | str | os.PathLike[str] | Sequence[Samples | str | os.PathLike[str]],
    judge: str | Scorer | Callable[..., Any] | None = None,
    *,
    rule: BuildingRule = "best_worst",
    min_gap: float = 0.0,
    max_length_ratio: float | None = None,
    finished: bool = False,
    order: Order = "prompts",
    ches_model: AnyModel | None = None,
    drop_alike: float = 0.0,
    device: str | None = None,
    dtype: str | None = None,
    chat_template: str | None = None,
    output: str | os.PathLike[str] | None = None,
    progress: bool | Reporter = True,
) -> Paired:
    """Build preference pairs from the answers of one or several models to the same prompts (`Paired.rows`, for `dpo`).

    Args:
        samples: the result of `sample`, or files written by it; a list where several models answered.
        judge: what scores an answer: a name ("positivity"), "module:function", or a function of (prompt, response).
        rule: "best_worst", "best_random", "adjacent" or "all": which of a prompt's answers to pair, by score; "delta":
            prefer the first model's answer to the second's, which needs no judge.
        min_gap: the smallest difference of scores that makes a pair.
        max_length_ratio: how much longer the longer side may be, in characters.
        finished: leave out answers that were cut off at the length limit.
        order: "prompts", "easy_first" (largest gap first), or "least_alike_first" (lowest CHES first).
        ches_model: the model that measures how similar both sides of a pair are (CHES, arXiv 2410.08847).
        drop_alike: the share of the pairs to leave out, the most similar by CHES first.
        device, dtype, chat_template: for loading `ches_model`; the first two also apply to a reward model as judge.
        output: JSON lines to write as well.

    Raises:
        UserError: incompatible options, a judge without scores, samples that cannot be read, or no pair is left.
    """
    given = [samples] if isinstance(samples, Samples | str | os.PathLike) else samples
    return pairs_from(
        [one if isinstance(one, Samples) else Path(one) for one in given],
        Choice(rule, min_gap, max_length_ratio, finished, order, drop_alike),
        judge,
        ches_model=ches_model,
        device=device,
        dtype=dtype,
        chat_template=chat_template,
        reporter=reporter_of(progress),
        output=None if output is None else Path(output),
    )
