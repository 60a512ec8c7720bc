"""Preference pairs from sampled answers: files of `penchant sample` from one model or several, scored by a judge."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from penchant.data import Message, load_pairs
from penchant.data.pair_building import Choice, Paired, Written, build_pairs, pooled, with_likeness
from penchant.errors import ConfigError, DataError
from penchant.evaluation.answer_files import answers_in
from penchant.evaluation.candidates import Samples
from penchant.evaluation.judges import Scorer, open_scorer, scores_of
from penchant.evaluation.policies import AnyModel
from penchant.files import require_new
from penchant.files.whole import disk_errors_explained, writing
from penchant.models.language_model import LanguageModel
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics, computing
from penchant.models.similarity import ches_of_pairs
from penchant.tokens import Limits, tokenise_pairs
from penchant.wording import SPELT_OUT

__all__ = ["pairs_from"]


def pairs_from(
    samples: Sequence[Path | Samples],
    choice: Choice,
    judge: str | Scorer | Callable[..., Any] | None = None,
    *,
    ches_model: AnyModel | None = None,
    output: Path | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Paired:
    """Pairs from the answers in these files, or in memory; written to `output`, if there is one, whole or not at all.

    judge: what scores answers, see `open_scorer`; None where the rule needs none. ches_model: to which both sides of
    every pair are compared, see `penchant.models.similarity`. Raises ConfigError for what does not
    go together and a judge that gives no scores, DataError for a file that holds no samples, and where not one pair is
    left, and OutputError for an output that is there.
    """
    if not samples:
        raise ConfigError("there are no samples; give one or more files that `penchant sample` wrote")
    choice.check(len(samples), judged=judge is not None, likened=ches_model is not None)
    if output is not None:
        require_new(output)
    scorer = None if judge is None else open_scorer(judge)
    pools = pooled(one for place, one_model in enumerate(samples) for one in _answers(one_model, place))
    name = None if scorer is None else scorer.name

    def score(prompt: Sequence[Message], texts: Sequence[str]) -> list[float]:
        assert scorer is not None
        return scores_of(scorer, [(prompt, text) for text in texts])

    built = build_pairs(pools, choice, None if scorer is None else score, name, on_progress=on_progress)
    if built.rows and ches_model is not None:
        with computing():
            model = (
                ches_model if isinstance(ches_model, LanguageModel) else load_model(str(ches_model), choose_numerics())
            )
            built = with_likeness(built, _likeness(model, built.rows, on_progress), model.name, choice)
    if not built.rows:
        why = "; ".join(built.in_words()[1:]) or "the files are empty"
        where = ", ".join(str(one) if isinstance(one, Path) else "samples in memory" for one in samples)
        raise DataError(f"{where}: not one pair is left ({why}); ask for less, or sample more")
    if output is not None:
        with disk_errors_explained(output), writing(output) as stream:
            for row in built.rows:
                stream.write(json.dumps(row, ensure_ascii=False).encode(errors=SPELT_OUT) + b"\n")
    return built


def _likeness(
    model: LanguageModel, rows: Sequence[dict[str, Any]], on_progress: Callable[[int, int], None]
) -> list[float]:
    """CHES of every row's two sides; NaN where they are no pair to the model, as when the prompt fills its context."""
    records = load_pairs(list(rows)).records
    read = tokenise_pairs(model.encoder, records, Limits(model.context_length, model.context_length - 1)).items
    values = dict(zip((str(p.origin) for p in read), ches_of_pairs(model, read, on_progress=on_progress), strict=True))
    return [values.get(str(record.origin), math.nan) for record in records]


def _answers(samples: Path | Samples, place: int) -> Iterator[tuple[tuple[Message, ...], Written]]:
    """Prompts and answers, in order. Raises DataError with file and line."""
    for one in answers_in(samples):
        model = one.source.model if one.source else None
        yield one.prompt, Written(one.text, model, place, one.finished is not False)
