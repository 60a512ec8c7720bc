"""What training changed, measured: rewards of pairs, win rates on prompts, a ranking of votes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from penchant.api.answers import Prompts, prompts_of
from penchant.data.given import Data
from penchant.data.options import OnBadRow
from penchant.data.pairing import PairingRule
from penchant.data.read_as import Columns
from penchant.errors import ConfigError
from penchant.evaluation.candidates import Samples
from penchant.evaluation.compared import Evaluation
from penchant.evaluation.evaluate import compare_files, write_evaluation
from penchant.evaluation.evaluate import evaluate as evaluate_models
from penchant.evaluation.judges import Judge, Scorer, open_any
from penchant.evaluation.score import Scores, score_pairs
from penchant.models.language_model import LanguageModel
from penchant.models.numerics import computing
from penchant.models.sampler import SamplingParams
from penchant.progress import Reporter, reporter_of
from penchant.ranking import Method
from penchant.report.ranking import Ranking, rank_votes
from penchant.training.given import ModelLike, loaded_of, name_of_model
from penchant.training.trained import Run

__all__ = ["compare_answers", "evaluate", "rank", "score"]


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
    progress: bool | Reporter = True,
) -> Scores:
    """The reward that a trained model gives both responses of every pair, and how often it agrees with the choice.

    Args:
        model: a run, which knows its reference, beta and length; or any model, with `reference`.
        pairs: as for `penchant.dpo`.
        reference: the model to measure against; None: the run's.
        beta: scale of the rewards; None: the run's, else 0.1.
        columns, format: see `penchant.data.load_pairs`.
        pairing, min_gap: which answers of a ranked or scored list become pairs, as in `penchant.dpo`.

    Raises:
        UserError: pairs or models that cannot be used, or nothing names the reference.
    """
    if isinstance(model, Run) and model.path is None:
        beta = beta or model.ledger.get("beta")
        max_length = max_length or model.ledger["config"]["data"]["max_length"]
    with computing():
        return score_pairs(
            _policy(model),
            pairs,
            reference=_reference(model, reference),
            beta=beta,
            max_pairs=max_pairs,
            max_length=max_length,
            on_bad_row=on_bad_row,
            columns=columns,
            format=format,
            pairing=pairing,
            min_gap=min_gap,
            reporter=reporter_of(progress),
        )


def evaluate(
    model: ModelLike,
    prompts: Prompts = "everyday-test",
    *,
    judge: str | Judge | Scorer | Callable[..., Any] = "positivity",
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
    write: bool = False,
    progress: bool | Reporter = True,
) -> Evaluation:
    """What training changed, on prompts it has not seen: win rate, mean score and KL, each with a 95% interval.

    Args:
        model: a run, which knows its reference; or any model, with `reference`.
        judge: who says which answer is better: a name, a judge or a function, as for `penchant.judge`.
        repeats: how often the judge is asked the same, to see how far it agrees with itself.
        pairs: preferences that training has not seen: held-out accuracy by length and margin, and calibration.
        demonstrations: conversations or texts that training has not seen: perplexity before and after.
        columns, format: of the prompts, see `penchant.data.load_prompts`.
        write: put comparison.json and the report into the folder of the run.

    Raises:
        UserError: prompts, judge or models that cannot be used, or nothing names the reference.
    """
    if write and not (isinstance(model, Run) and model.path):
        raise ConfigError("write puts the result into the folder of a run, and this model has none; leave it out")
    reporter, opened = reporter_of(progress), open_any(judge)
    sampling = SamplingParams(temperature, top_p, top_k, max_new_tokens, seed)
    asked = prompts_of(prompts, max_prompts, reporter, columns=columns, format=format)
    with computing():
        found = evaluate_models(
            _policy(model),
            asked,
            opened,
            reference=_reference(model, reference),
            repeats=repeats,
            pairs=pairs,
            demonstrations=demonstrations,
            num_responses=num_responses,
            sampling=sampling,
            batch_size=batch_size,
            reporter=reporter,
        )
    if write and isinstance(model, Run) and model.path:
        write_evaluation(model.path, found, prompts=prompts if isinstance(prompts, str) else "given in Python")
    return found


def compare_answers(
    before: Samples | str | os.PathLike[str],
    after: Samples | str | os.PathLike[str],
    *,
    judge: str | Judge | Scorer | Callable[..., Any] = "positivity",
    prompts: Prompts | None = None,
    repeats: int = 1,
    seed: int = 0,
    progress: bool | Reporter = True,
) -> Evaluation:
    """Two sets of answers to the same prompts compared as `evaluate` does, without the models that wrote them.

    Args:
        before, after: what `penchant.sample` returned, or files of it.
        judge, repeats: as for `evaluate`.
        prompts: what must have been answered; None: what `before` answers.
        seed: of the coin that says which answer is shown first, and of resamples.

    Raises:
        UserError: answers to other prompts, or another number of them, or a judge that cannot be used.
    """
    reporter, opened = reporter_of(progress), open_any(judge)
    asked = None if prompts is None else prompts_of(prompts, None, reporter)
    old, new = (one if isinstance(one, Samples) else Path(one) for one in (before, after))
    return compare_files(old, new, opened, prompts=asked, repeats=repeats, seed=seed, reporter=reporter)


def rank(
    votes: Data,
    *,
    both_bad: Literal["apart", "tie"] = "apart",
    elo: bool = False,
    on_bad_row: OnBadRow = "error",
    columns: Columns | None = None,
    format: str | None = None,
    **method: Any,
) -> Ranking:
    """Who wrote the better responses: a Bradley-Terry (or Davidson) ranking of votes, with intervals.

    Args:
        votes: answered comparisons in any format that `penchant rank` reads: files, rows, or records.
        both_bad: "apart" leaves such votes out of the ranking and counts them, "tie" takes them for ties.
        elo: the online Elo rating beside it.
        columns, format: see `penchant.data.load_votes`.
        method: see `penchant.ranking.Method`.

    Raises:
        UserError: votes that cannot be read or ranked, or options that do not go together.
    """
    how = Method(**method)
    return rank_votes(votes, how, both_bad=both_bad, elo=elo, on_bad_row=on_bad_row, columns=columns, format=format)


def _policy(model: ModelLike) -> str | LanguageModel:
    return loaded_of(model) or str(name_of_model(model))


def _reference(model: ModelLike, reference: ModelLike | None) -> str | LanguageModel | None:
    """The one that is named; else that of a run in memory, as the folder of any other says its own."""
    if reference is not None:
        return _policy(reference)
    if isinstance(model, Run) and model.path is None:
        if model.reference is None:
            raise ConfigError("the run was trained without a reference; name what to compare with: `reference=...`")
        return model.reference
    return None
