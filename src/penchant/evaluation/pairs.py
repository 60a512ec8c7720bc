"""Build preference pairs from sampled answers in files of one or several models, scored by a judge."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from penchant.data import Message, load_pairs
from penchant.data.pair_building import Choice, Paired, Written, build_pairs, pooled, with_likeness
from penchant.errors import ConfigError, DataError
from penchant.evaluation.answer_files import answers_in
from penchant.evaluation.judges import JudgeOptions, Scorer, open_scorer, scores_of
from penchant.evaluation.policies import AnyModel
from penchant.evaluation.samples import Samples
from penchant.files import require_new
from penchant.files.whole import disk_errors_explained, writing
from penchant.models.language_model import LanguageModel
from penchant.models.numerics import computing
from penchant.models.opening import open_model
from penchant.models.similarity import ches_of_pairs, require_states
from penchant.progress import Reporter, Silent, counted
from penchant.tokens import Limits, tokenise_pairs
from penchant.wording import SPELT_OUT

__all__ = ["pairs_from"]


def pairs_from(
    samples: Sequence[Path | Samples],
    choice: Choice,
    judge: str | Scorer | Callable[..., Any] | None = None,
    *,
    ches_model: AnyModel | None = None,
    device: str | None = None,
    dtype: str | None = None,
    chat_template: str | None = None,
    output: Path | None = None,
    reporter: Reporter | None = None,
) -> Paired:
    """Build pairs from the answers in these files, or in memory; an `output` is written completely or not at all.

    judge: scores answers, see `open_scorer`; None if the rule needs none. ches_model: the model that measures how
    similar both sides of a pair are, see `penchant.models.similarity`; it is loaded before anything is judged.
    chat_template: that of this model. device, dtype: those of this model, and of a reward model as judge. Raises
    ConfigError for incompatible options and a judge without scores, ModelError for a model that cannot measure
    similarity, DataError for a file without samples and if no pair is left, and OutputError for an existing output.
    """
    if not samples:
        raise ConfigError("there are no samples; give one or more files that `penchant sample` wrote")
    choice.check(len(samples), judged=judge is not None, likened=ches_model is not None)
    loads = {"device": device, "dtype": dtype, "chat_template": chat_template}
    _refuse_unread(loads, judge, ches_model)
    if output is not None:
        require_new(output)
    shown = counted(reporter or Silent(), "pairing")
    of_judge: dict[str, Any] = (
        {"device": device, "dtype": dtype, "reporter": reporter} if _is_reward_model(judge) else {}
    )
    scorer = None if judge is None else open_scorer(judge, **of_judge)
    pools = pooled(one for place, one_model in enumerate(samples) for one in _answers(one_model, place))
    likened = None if ches_model is None else _with_states(ches_model, loads, reporter or Silent())
    name = None if scorer is None else scorer.name

    def score(prompt: Sequence[Message], texts: Sequence[str]) -> list[float]:
        assert scorer is not None
        return scores_of(scorer, [(prompt, text) for text in texts])

    built = build_pairs(pools, choice, None if scorer is None else score, name, on_progress=shown)
    if built.rows and likened is not None:
        with computing():
            built = with_likeness(built, _likeness(likened, built.rows, shown), likened.name, choice)
    if not built.rows:
        why = "; ".join(built.in_words()[1:]) or "the files are empty"
        where = ", ".join(str(one) if isinstance(one, Path) else "samples in memory" for one in samples)
        raise DataError(f"{where}: no pair is left ({why}); relax the limits, or sample more answers")
    if output is not None:
        with disk_errors_explained(output), writing(output) as stream:
            for row in built.rows:
                stream.write(json.dumps(row, ensure_ascii=False).encode(errors=SPELT_OUT) + b"\n")
    return built


def _is_reward_model(judge: object) -> bool:
    return isinstance(judge, str) and JudgeOptions(judge).kind == "reward"


def _refuse_unread(loads: Mapping[str, Any], judge: object, ches_model: AnyModel | None) -> None:
    """Raise ConfigError for an option of a loaded model if no model reads it."""
    is_loaded = ches_model is not None and not isinstance(ches_model, LanguageModel)
    for name, value in loads.items():
        if value is not None and not (is_loaded or (name != "chat_template" and _is_reward_model(judge))):
            or_a_judge = "" if name == "chat_template" else " or with `judge=reward:...`"
            raise ConfigError(f"`{name}=...` is only read with `ches_model=...`{or_a_judge}; leave it out")


def _with_states(model: AnyModel, loads: Mapping[str, Any], reporter: Reporter) -> LanguageModel:
    """Load the model that measures similarity. Raises ModelError, ConfigError."""
    if not isinstance(model, LanguageModel):
        with computing():
            model = open_model(str(model), **loads, reporter=reporter)
    require_states(model)
    return model


def _likeness(
    model: LanguageModel, rows: Sequence[dict[str, Any]], on_progress: Callable[[int, int], None]
) -> list[float]:
    """CHES of each row's two sides; NaN if the model cannot read the pair, as when the prompt fills its context."""
    records = load_pairs(list(rows)).records
    read = tokenise_pairs(model.encoder, records, Limits(model.context_length, model.context_length - 1)).items
    values = dict(zip((str(p.origin) for p in read), ches_of_pairs(model, read, on_progress=on_progress), strict=True))
    return [values.get(str(record.origin), math.nan) for record in records]


def _answers(samples: Path | Samples, place: int) -> Iterator[tuple[tuple[Message, ...], Written]]:
    """Prompts and answers, in order. Raises DataError with file and line."""
    for one in answers_in(samples):
        model = one.source.model if one.source else None
        yield one.prompt, Written(one.text, model, place, one.finished is not False)
