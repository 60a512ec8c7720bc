"""The complete evaluation: a policy and its reference answer the same prompts, and a judge compares the answers.

It also measures KL(policy || reference) per response, estimated on the policy's own samples at temperature 1 as the
mean of log pi(y|x) - log pi_ref(y|x), in nats (unbiased; the x-axis of the DPO paper, arXiv 2305.18290, figure 2).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from penchant import ranks
from penchant.data import Data, Prompt
from penchant.errors import ConfigError, DataError
from penchant.evaluation.answer_files import read_two
from penchant.evaluation.answers import Answers, Asked, answer_as_policy, answer_as_reference
from penchant.evaluation.compared import Evaluation, compare_answers
from penchant.evaluation.exact_kl import exact_kl_from
from penchant.evaluation.forgetting import forgetting_of, read_demonstrations, token_logprobs_of
from penchant.evaluation.judges.protocol import Judge, Scorer
from penchant.evaluation.policies import AnyModel, Loader, open_policy
from penchant.evaluation.references import find_reference
from penchant.evaluation.samples import Samples
from penchant.evaluation.score import score_pairs
from penchant.files.whole import disk_errors_explained, write_atomically
from penchant.models.language_model import LanguageModel
from penchant.models.requests import refuse_long_prompts
from penchant.models.sampler import SamplingParams
from penchant.progress import Reporter, Silent, counted
from penchant.tokens import SpecialTokens
from penchant.training.run_folder import RunFolder
from penchant.training.run_report import write_run_report

__all__ = ["compare_files", "evaluate", "evaluate_each", "write_evaluation", "write_evaluations"]

ADAPTER_OFF = "the adapter switched off"
DEFAULT_SAMPLING = SamplingParams(max_new_tokens=128)


def evaluate(
    policy: AnyModel,
    prompts: Sequence[Prompt],
    judge: Judge | Scorer,
    *,
    reference: AnyModel | None = None,
    num_responses: int = 1,
    sampling: SamplingParams = DEFAULT_SAMPLING,
    batch_size: int = 64,
    repeats: int = 1,
    pairs: Data | None = None,
    demonstrations: Data | None = None,
    special_tokens: SpecialTokens = "refuse",
    load: Loader | None = None,
    reporter: Reporter | None = None,
) -> Evaluation:
    """Compare a policy with its reference on prompts that training should not have seen. Writes nothing.

    Args:
        policy: a run folder or another model's name, which is loaded and freed before its reference is loaded; or a
            model in memory.
        prompts: prompts with unique ids.
        judge: scores every response, or compares two.
        reference: the model to compare with; None: the one the policy was trained against (see `find_reference`).
        num_responses: per model and prompt.
        sampling: sampling settings of both models.
        batch_size: responses sampled at once.
        repeats: how often the judge is asked the same question, to measure its agreement with itself.
        pairs: held-out preferences, on which the policy's implicit reward is measured.
        demonstrations: held-out conversations or texts, to measure forgetting.
        special_tokens: how to treat a prompt that spells one.
        load: loads a model by name; None: with the best available device and dtype.
        reporter: receives progress.

    Raises:
        DataError: there is no prompt, no usable pair or no usable demonstration.
        ConfigError: no reference is given or recorded, or the judge fails.
        ModelError: a model cannot be loaded, has another tokenizer than the policy, or too short a context.
    """
    if not prompts:
        raise DataError("there is no prompt to answer; give at least one")
    reporter = reporter or Silent()
    scores = None
    if pairs is not None:
        scores = score_pairs(policy, pairs, reference=reference, load=load, reporter=reporter)
    name, model = open_policy(policy, reference, special_tokens=special_tokens, load=load, reporter=reporter)
    refuse_long_prompts(model, prompts)
    source = find_reference(name, model, reference)
    asked = Asked(prompts, sampling, num_responses, batch_size)
    examples = () if demonstrations is None else read_demonstrations(model, demonstrations, reporter)
    own = answer_as_policy(model, asked, reporter)
    known = token_logprobs_of(model, examples, reporter, "demonstrations, policy")

    def as_reference(other: LanguageModel) -> tuple[Answers, Tensor, Tensor | str, Tensor]:
        before, log_ratios = answer_as_reference(other, asked, own, reporter)
        exact = exact_kl_from(own.predicted, other, own.sequences, counted(reporter, "reference, KL"))
        return before, log_ratios, exact, token_logprobs_of(other, examples, reporter, "demonstrations, reference")

    if source.is_adapter_off:
        with model.as_reference():
            before, log_ratios, exact, known_before = as_reference(model)
    else:
        del model  # one model in memory at a time; only the policy's head is kept
        before, log_ratios, exact, known_before = as_reference(source.load(reporter.say))
    found = compare_answers(
        prompts,
        before,
        own.answers,
        judge,
        policy=name,
        reference=source.name or ADAPTER_OFF,
        sampling=sampling,
        repeats=repeats,
        seed=sampling.seed,
        reporter=reporter,
    ).with_kl(log_ratios.numpy(), exact if isinstance(exact, str) else exact.numpy(), prompts)
    return replace(
        found,
        accuracy=None if scores is None else scores.summary,
        forgetting=forgetting_of(examples, known_before, known) if examples else None,
    )


def evaluate_each(
    models: Sequence[AnyModel],
    prompts: Sequence[Prompt],
    judge: Judge | Scorer,
    *,
    reference: AnyModel | None = None,
    **how: Any,
) -> Iterator[Evaluation]:
    """Evaluate one model against its reference, or several against the first. how, errors: as for `evaluate`."""
    if len(models) > 1 and reference is not None:
        raise ConfigError(
            "`reference=...` is only read for one model, as several are compared with the first; leave it out"
        )
    first, *others = models
    for policy, held_to in ((one, first) for one in others) if others else ((first, reference),):
        yield evaluate(policy, prompts, judge, reference=held_to, **how)


def compare_files(
    before: Path | Samples,
    after: Path | Samples,
    judge: Judge | Scorer,
    *,
    prompts: Sequence[Prompt] | None = None,
    repeats: int = 1,
    seed: int = 0,
    reporter: Reporter | None = None,
) -> Evaluation:
    """Compare existing answers, without the models that wrote them; see `read_two` and `compare_answers`."""
    asked, old, new = read_two(before, after, prompts)
    policy, reference = (str(one) if isinstance(one, Path) else "samples in memory" for one in (after, before))
    how: dict[str, Any] = {"repeats": repeats, "seed": seed, "reporter": reporter}
    return compare_answers(asked, old, new, judge, policy=policy, reference=reference, **how)


def write_evaluations(found: Iterable[Evaluation], output: Path | None) -> list[Evaluation]:
    """Collect evaluations, rewriting the JSON list `output`, if given, after each one. Raises OutputError."""
    done: list[Evaluation] = []
    for one in found:
        done.append(one)
        if output is not None and ranks.is_first():
            with disk_errors_explained(output):
                write_atomically(output, json.dumps([e.as_dict() for e in done], indent=2, ensure_ascii=False) + "\n")
    return done


def write_evaluation(
    run: Path, found: Evaluation, *, prompts: str, say: Callable[[str], None] = lambda _: None
) -> Path:
    """Write `comparison.json` and the report into a run folder, on the first rank; returns the report's path.

    prompts: their name.
    """

    def write() -> str:
        text = json.dumps(found.as_dict() | {"prompts": prompts}, indent=2, ensure_ascii=False)
        write_atomically(run / "comparison.json", text + "\n")
        RunFolder(run).note_written("comparison.json")
        return str(write_run_report(run, say))

    return Path(ranks.first(write))
