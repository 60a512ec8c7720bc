"""Measure what training changed: rewards of pairs, and win rates on prompts.

Models are loaded as late as possible, so that errors in the other arguments are raised at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, cast, overload

from penchant.api.given import Prompts, pairs_in, prompts_of
from penchant.data.given import Data
from penchant.data.options import OnBadRow
from penchant.data.pairing import PairingRule
from penchant.data.read_as import Columns
from penchant.errors import ConfigError
from penchant.evaluation.judges import Judge, Scorer, open_any
from penchant.evaluation.samples import Samples
from penchant.files import require_new
from penchant.models.ledger import read_ledger
from penchant.process import process_rank
from penchant.progress import Reporter, reporter_of
from penchant.tokens import special_tokens_of

if TYPE_CHECKING:
    from penchant.evaluation.compared import Evaluation
    from penchant.evaluation.score import Scores
    from penchant.models.language_model import LanguageModel
    from penchant.training.given import ModelLike

__all__ = ["compare_answers", "evaluate", "score"]

P = ParamSpec("P")


def score(
    model: ModelLike,
    pairs: Data,
    *,
    reference: ModelLike | None = None,
    beta: float | None = None,
    max_pairs: int | None = None,
    max_length: int | None = None,
    on_bad_row: OnBadRow = "drop",
    columns: Columns | None = None,
    format: str | None = None,
    pairing: PairingRule | None = None,
    min_gap: float = 0.0,
    device: str | None = None,
    dtype: str | None = None,
    chat_template: str | None = None,
    special_tokens: str | None = None,
    progress: bool | Reporter = True,
) -> Scores:
    """Measure a trained model's rewards of both responses of every pair, and how often they agree with the choice.

    Args:
        model: a run, which records its reference, beta and length; or any model, with `reference`.
        pairs: as for `penchant.dpo`.
        reference: the model to measure against; None: the run's.
        beta: scale of the rewards; None: the run's, else 0.1.
        max_pairs: the most pairs to score, from the start; None: all.
        max_length: tokens of prompt and response; None: the run's limit, or 1024.
        on_bad_row: "drop" leaves bad rows out and reports their number, "error" refuses them.
        columns, format: see `penchant.data.load_pairs`.
        pairing, min_gap: which answers of a ranked or scored list become pairs, as in `penchant.dpo`.
        device, dtype, chat_template: for loading a model given by name, see `penchant.load`.
        special_tokens: see `penchant.load`; None: as in the run.
        progress: see `penchant.dpo`.

    Raises:
        UserError: pairs or models that cannot be used, or no reference is given or recorded.
    """
    reporter = reporter_of(progress)
    pairs = pairs_in(pairs, reporter)
    loading: dict[str, Any] = {"device": device, "dtype": dtype, "chat_template": chat_template}
    _refuse_unread((model,), loading | {"special_tokens": special_tokens})
    from penchant.evaluation.score import score_pairs
    from penchant.models.numerics import computing
    from penchant.models.opening import open_any_model
    from penchant.training.trained import Run

    if isinstance(model, Run) and model.path is None:
        beta = model.ledger.get("beta") if beta is None else beta
        max_length = model.ledger["config"]["data"]["max_length"] if max_length is None else max_length
    with computing():
        return score_pairs(
            _policy(model),
            pairs,
            reference=_reference(model, reference),
            beta=beta,
            max_pairs=max_pairs,
            max_length=max_length,
            special_tokens=special_tokens,
            on_bad_row=on_bad_row,
            columns=columns,
            format=format,
            pairing=pairing,
            min_gap=min_gap,
            load=partial(open_any_model, **loading, reporter=reporter),
            reporter=reporter,
        )


class _OneOrSeveral(Protocol[P]):
    """A function that gives a list for a list of models, and one result for one model; all else is as it says."""

    @overload
    def __call__(self, model: ModelLike, *args: P.args, **kwargs: P.kwargs) -> Evaluation: ...
    @overload
    def __call__(self, model: list[Any] | tuple[Any, ...], *args: P.args, **kwargs: P.kwargs) -> list[Evaluation]: ...


def _one_or_several(function: Callable[Concatenate[Any, P], Evaluation | list[Evaluation]]) -> _OneOrSeveral[P]:
    """The function itself; type checkers are told which of the two it returns."""
    return cast("_OneOrSeveral[P]", function)


@_one_or_several
def evaluate(
    model: ModelLike | list[Any] | tuple[Any, ...],
    prompts: Prompts = "everyday-test",
    *,
    judge: str | Judge | Scorer | Callable[..., Any] = "positivity",
    judge_model: str | None = None,
    reference: ModelLike | None = None,
    repeats: int = 1,
    pairs: Data | None = None,
    demonstrations: Data | None = None,
    num_responses: int = 1,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int = 0,
    max_new_tokens: int = 128,
    max_prompts: int | None = None,
    columns: Columns | None = None,
    format: str | None = None,
    batch_size: int = 64,
    seed: int = 0,
    device: str | None = None,
    dtype: str | None = None,
    chat_template: str | None = None,
    special_tokens: str | None = None,
    write: bool = False,
    output: str | os.PathLike[str] | None = None,
    progress: bool | Reporter = True,
) -> Evaluation | list[Evaluation]:
    """Measure what training changed on unseen prompts: win rate, mean score and KL, each with a 95% interval.

    Args:
        model: a run, which records its reference; or any model, with `reference`; or a list of models: each of the
            others is compared with the first, and a list is returned.
        prompts: as for `penchant.sample`. max_prompts: the most of them, from the start; None: all.
        judge: what decides which answer is better: a name, a judge or a function, as for `penchant.judge`.
        judge_model: the name of the model at an endpoint that judges.
        repeats: how often the judge is asked the same question, to measure its agreement with itself.
        pairs: held-out preferences: accuracy by length and margin, and calibration.
        demonstrations: held-out conversations or texts: perplexity before and after.
        num_responses: responses per prompt of each model.
        temperature, top_p, top_k, max_new_tokens, seed: sampling options, as for `penchant.sample`.
        batch_size: responses sampled at once.
        columns, format: of the prompts, see `penchant.data.load_prompts`.
        device, dtype, chat_template, special_tokens: for loading models given by name, see `penchant.load`; the first
            two also apply to a model that judges.
        write: put comparison.json and the report into the folder of the run.
        output: a JSON file to write as well, with the list of results.
        progress: see `penchant.dpo`.

    Raises:
        UserError: prompts, judge or models that cannot be used, or no reference is given or recorded.
    """
    reporter = reporter_of(progress)
    several = isinstance(model, list | tuple)
    models: Sequence[ModelLike] = model if isinstance(model, list | tuple) else (model,)
    if not models:
        raise ConfigError("there is no model to evaluate; give a run, or several models")
    folder = _folder_to_write(models) if write else None
    if output is not None and process_rank() == 0:
        require_new(Path(output))
    loading: dict[str, Any] = {"device": device, "dtype": dtype, "chat_template": chat_template}
    _refuse_unread(models, loading | {"special_tokens": special_tokens})
    opened = open_any(judge, judge_model=judge_model, device=device, dtype=dtype, beside_models=True, reporter=reporter)
    asked = prompts_of(prompts, max_prompts, reporter, columns=columns, format=format)
    held_out = None if pairs is None else pairs_in(pairs, reporter)
    from penchant.evaluation.evaluate import evaluate_each, write_evaluation, write_evaluations
    from penchant.models.numerics import computing
    from penchant.models.opening import open_model
    from penchant.models.sampler import SamplingParams

    with computing():
        found = write_evaluations(
            evaluate_each(
                [_policy(one) for one in models],
                asked,
                opened,
                reference=_reference(models[0] if len(models) == 1 else None, reference),
                repeats=repeats,
                pairs=held_out,
                demonstrations=demonstrations,
                num_responses=num_responses,
                sampling=SamplingParams(temperature, top_p, top_k, max_new_tokens, seed),
                batch_size=batch_size,
                special_tokens=special_tokens_of(special_tokens),
                load=partial(open_model, **loading, reporter=reporter),
                reporter=reporter,
            ),
            None if output is None else Path(output),
        )
    if folder is not None:
        name = prompts if isinstance(prompts, str) else "given in Python"
        write_evaluation(folder, found[0], prompts=name, say=reporter.say)
    return found if several else found[0]


def compare_answers(
    before: Samples | str | os.PathLike[str],
    after: Samples | str | os.PathLike[str],
    *,
    judge: str | Judge | Scorer | Callable[..., Any] = "positivity",
    judge_model: str | None = None,
    prompts: Prompts | None = None,
    max_prompts: int | None = None,
    columns: Columns | None = None,
    format: str | None = None,
    repeats: int = 1,
    seed: int = 0,
    device: str | None = None,
    dtype: str | None = None,
    output: str | os.PathLike[str] | None = None,
    progress: bool | Reporter = True,
) -> Evaluation:
    """Compare two sets of answers to the same prompts as `evaluate` does, without the models that wrote them.

    Args:
        before, after: results of `penchant.sample`, or files of them.
        judge, judge_model, repeats: as for `evaluate`.
        prompts: the prompts that must be answered; None: those of `before`.
        max_prompts, columns, format: of these prompts.
        seed: decides which answer is shown first, and the resamples.
        device, dtype: of a model that judges.
        output: a JSON file to write as well.
        progress: see `penchant.dpo`.

    Raises:
        UserError: the answers differ in their prompts or their number, or the judge cannot be used.
    """
    reporter = reporter_of(progress)
    of_prompts = {"max_prompts": max_prompts, "columns": columns, "format": format}
    if prompts is None and (given := next((name for name, value in of_prompts.items() if value is not None), None)):
        raise ConfigError(f"`{given}=...` is only read with `prompts=...`; give both, or leave it out")
    if output is not None and process_rank() == 0:
        require_new(Path(output))
    opened = open_any(judge, judge_model=judge_model, device=device, dtype=dtype, reporter=reporter)
    asked = None
    if prompts is not None:
        asked = prompts_of(prompts, max_prompts, reporter, columns=columns, format=format)
    old, new = (one if isinstance(one, Samples) else Path(one) for one in (before, after))
    from penchant.evaluation.evaluate import compare_files, write_evaluations

    found = compare_files(old, new, opened, prompts=asked, repeats=repeats, seed=seed, reporter=reporter)
    return write_evaluations((found,), None if output is None else Path(output))[0]


def _folder_to_write(models: Sequence[ModelLike]) -> Path:
    """The folder of the only run among the models. Raises ConfigError, and OutputError where it holds no run."""
    one = models[0] if len(models) == 1 else None
    if isinstance(one, str | os.PathLike):
        folder = Path(one)
        read_ledger(folder)
        return folder
    from penchant.training.trained import Run

    if isinstance(one, Run) and one.path:
        return one.path
    raise ConfigError(
        "`write=True` writes the result into the folder of one run, but no single run with a folder is given; leave it "
        "out"
    )


def _policy(model: ModelLike) -> str | LanguageModel:
    from penchant.training.given import loaded_of, name_of_model

    return loaded_of(model) or str(name_of_model(model))


def _reference(model: ModelLike | None, reference: ModelLike | None) -> str | LanguageModel | None:
    """The reference that is given, else that of a run in memory; a run's folder names its own."""
    from penchant.training.trained import Run

    if reference is not None:
        return _policy(reference)
    if isinstance(model, Run) and model.path is None:
        if model.reference is None:
            raise ConfigError(
                "the run was trained without a reference; name the model to compare it with, `reference=...`"
            )
        return model.reference
    return None


def _refuse_unread(models: Sequence[ModelLike], how: Mapping[str, str | None]) -> None:
    """Raise ConfigError for loading options where every model is already in memory."""
    given = next((name for name, value in how.items() if value is not None), None)
    if given and not any(isinstance(one, str | os.PathLike) or isinstance(_policy(one), str) for one in models):
        raise ConfigError(
            f"`{given}=...` is read when a model is loaded, and this one is already; give it to `penchant.load`"
        )
