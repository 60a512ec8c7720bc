"""The models of a run: the policy and the reference it is held to, loaded as the settings say."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime

from penchant.errors import ConfigError
from penchant.files.whole import disk_errors_explained
from penchant.models import adapters, saving
from penchant.models.cache import cache_folder
from penchant.models.language_model import LanguageModel
from penchant.models.load import load_model, read_chat_template
from penchant.models.matmul import arithmetic
from penchant.models.numerics import choose_numerics
from penchant.progress import Reporter
from penchant.tokens import TokenSequence
from penchant.training.config import DPOConfig, RunConfig
from penchant.training.reference import ReferenceCache, reference_logprobs

__all__ = ["load_policy", "load_trainee", "score_reference"]


def load_policy(run: RunConfig, name: str, clock: datetime, reporter: Reporter) -> tuple[LanguageModel, str | None]:
    """The model called `name` as the run's settings say, and the text of its chat template. Raises UserError."""
    text = read_chat_template(run.model.chat_template)
    numerics = choose_numerics(run.model.device, run.model.dtype)
    model = load_model(
        name,
        numerics,
        chat_template=text,
        share=run.model.share_prefixes,
        longest=run.data.max_length + (run.save.sample_tokens if run.save.num_samples else 0),
        special_tokens=run.data.special_tokens,
        clock=clock,
        say=reporter.say,
    )
    return model, text


def load_trainee(run: RunConfig, clock: datetime, reporter: Reporter) -> tuple[LanguageModel, str | None]:
    """The model that is trained, with the adapter that the settings ask for; else as `load_policy`."""
    model, text = load_policy(run, run.model.name, clock, reporter)
    if (lora := run.model.lora) is not None:
        adapters.attach(model, lora.rank, lora.alpha, lora.targets, run.seed)
        saving.rehearse(model)
    return model, text


def score_reference(
    config: DPOConfig, model: LanguageModel, sequences: Sequence[TokenSequence], reporter: Reporter
) -> tuple[dict[bytes, float], str]:
    """Log-probs of all responses under the reference policy by key, and the digest of its weights.

    It is the model as it was loaded, without the adapter that is trained on it, or another that the settings name.
    """
    is_itself = config.model.reference is None
    if config.model.reference is not None:
        reporter.say(f"loading {config.model.reference}, the reference")
        policy, (model, _) = model, load_policy(config, config.model.reference, model.encoder.clock, reporter)
        if policy.tokenizer.get_vocab() != model.tokenizer.get_vocab():
            raise ConfigError(
                f"model.reference: the tokenizer of {config.model.reference} is not that of {config.model.name}, so "
                "their log-probs cannot be compared; name a reference with the same tokenizer"
            )
    folder = cache_folder() / "reference"
    with disk_errors_explained(folder, elsewhere="set PENCHANT_CACHE to another folder and go on with `resume=True`"):
        cache = ReferenceCache(folder, model.digest, f"{model.numerics.mode}-{arithmetic()}")
        with model.as_reference() if is_itself and config.model.lora is not None else nullcontext():
            reference = reference_logprobs(
                model,
                sequences,
                cache,
                token_budget=config.optimiser.token_budget,
                say=reporter.say,
                on_progress=lambda done, total: reporter.progress("reference", done, total, {}),
            )
    return reference, model.digest
