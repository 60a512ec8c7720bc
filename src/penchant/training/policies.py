"""Load the models of a run as the settings specify: the policy and its reference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from penchant import ranks
from penchant.errors import ConfigError
from penchant.files.whole import disk_errors_explained
from penchant.models import adapters, saving
from penchant.models.cache import cache_folder
from penchant.models.encoder import read_chat_template
from penchant.models.gated_mlp import remember_less
from penchant.models.language_model import LanguageModel
from penchant.models.live_reference import LiveReference
from penchant.models.load import load_model
from penchant.models.matmul import arithmetic
from penchant.models.names import base_of, resolve
from penchant.models.numerics import choose_numerics
from penchant.models.quantised import is_quantised, quantise
from penchant.models.reward_folder import load_reward_model, names_reward_model
from penchant.models.reward_model import RewardModel, reward_model_of
from penchant.models.sharding import Cut, shard, to_device
from penchant.progress import Reporter, counted
from penchant.tokens import TokenSequence
from penchant.training.config import DataConfig, DPOConfig, ModelConfig, RunConfig
from penchant.training.dataset import Dataset
from penchant.training.objective import Recipe
from penchant.training.optimiser import require_moments
from penchant.training.reference import reference_logprobs
from penchant.training.reference_values import ReferenceCache

__all__ = ["load_policy", "load_trainee", "make_ready", "reference_of", "score_reference", "share_out"]


def load_policy(
    run: RunConfig,
    name: str,
    clock: datetime,
    reporter: Reporter,
    loaded: LanguageModel | None = None,
    kind: type[LanguageModel] = LanguageModel,
    *,
    sharded: bool = False,
) -> tuple[LanguageModel, str | None]:
    """Load the model `name` with the run's settings, and return the text of its chat template. Raises UserError.

    loaded: a model in memory to use instead, with its own reading and precision; it is not changed, a copy is trained.
    kind: whether a reward model may have this name. sharded: whether all ranks read it together, each its shards.
    """
    if loaded is not None:
        if isinstance(loaded, RewardModel) and kind is not RewardModel:
            raise ConfigError(f"{loaded.name}: is a reward model, which writes no text; give a language model")
        _refuse_what_a_loaded_model_brings(run, loaded)
        loaded.numerics.take_up()
        model = loaded.copy()
        if run.model.quantisation is not None:
            quantise(model.network, model.numerics.device)
        return model, None
    text = read_chat_template(run.model.chat_template)
    numerics = choose_numerics(run.model.device, run.model.dtype)
    load = load_reward_model if kind is RewardModel and names_reward_model(name) else load_model
    model = load(
        name,
        numerics,
        chat_template=text,
        share=run.model.share_prefixes,
        longest=run.data.max_length + (run.save.sample_tokens if run.save.num_samples else 0),
        special_tokens=run.data.special_tokens,
        clock=clock,
        cut=Cut(numerics, offloads=run.parallel.offload) if sharded else None,
        quantised=run.model.quantisation is not None,
        say=reporter.say,
    )
    return model, text


def load_trainee(
    run: RunConfig,
    clock: datetime,
    reporter: Reporter,
    loaded: LanguageModel | None = None,
    kind: type[LanguageModel] = LanguageModel,
) -> tuple[LanguageModel, str | None]:
    """Load the model to train, with the adapter in the settings; otherwise like `load_policy`.

    kind: RewardModel adds a reward head to a language model. Must be called on all ranks.
    """
    cut = run.parallel.mode == "sharded" and loaded is None
    # a new head belongs to no layer, so the model is read completely and sharded afterwards
    cut = cut and (kind is not RewardModel or names_reward_model(run.model.name))
    with ranks.first_goes_ahead():  # it downloads or converts files that the others then find
        if cut:
            base_of(resolve(run.model.name, reporter.say), reporter.say)
        else:
            model, text = load_policy(run, run.model.name, clock, reporter, loaded, kind)
    if cut:
        model, text = load_policy(run, run.model.name, clock, reporter, kind=kind, sharded=True)
    require_moments(run.optimiser, model.numerics.device)
    if run.model.reference is not None and is_quantised(model.network):
        raise ConfigError(
            "model.reference is not read for a policy with a quantised base, which keeps the policy before training as "
            "the reference; leave it out"
        )
    if kind is RewardModel and not isinstance(model, RewardModel):
        model = reward_model_of(model)
    if run.parallel.mode == "sharded" and model.sharded is None:
        shard(model, offloads=run.parallel.offload)
    if (lora := run.model.lora) is not None:
        adapters.attach(model, lora.rank, lora.alpha, lora.targets, run.seed)
        if run.parallel.offload:  # peft put it where the shards are
            to_device(model.network, model.numerics.device)
        if run.output is not None:
            saving.rehearse(model)
    return model, text


def score_reference(
    config: DPOConfig,
    model: LanguageModel,
    sequences: Sequence[TokenSequence],
    reporter: Reporter,
    loaded: LanguageModel | None = None,
) -> tuple[Mapping[bytes, float], LanguageModel]:
    """Log-probs of all responses under the reference by key, and the reference model.

    That is the given model, without the adapter trained on it, or another named in the settings, or `loaded` if it is
    in memory. Values are cached only for a run that has a folder.
    """
    is_itself = config.model.reference is None
    if config.model.reference is not None:
        policy = model
        if loaded is None:
            reporter.say(f"loading {config.model.reference}, the reference")
            model, _ = load_policy(config, config.model.reference, policy.encoder.clock, reporter)
        else:
            model = loaded
        if policy.tokenizer.get_vocab() != model.tokenizer.get_vocab():
            raise ConfigError(
                f"model.reference: the tokenizer of {config.model.reference} is not that of {config.model.name}, so "
                "their log-probs cannot be compared; name a reference with the same tokenizer"
            )
    folder = cache_folder() / "reference"
    with disk_errors_explained(
        folder, elsewhere="set PENCHANT_CACHE to another folder and continue with `resume=True`"
    ):
        name = f"{model.numerics.mode}-{arithmetic()}" + "-sharded" * (
            model.sharded is not None and not model.sharded.exact
        )
        name += "-nf4" * is_quantised(model.network)
        cache = ReferenceCache(folder if config.output and ranks.is_first() else None, model.digest, name)
        with model.as_reference() if is_itself and config.model.lora is not None else nullcontext():
            reference = reference_logprobs(
                model,
                sequences,
                cache,
                token_budget=config.optimiser.token_budget,
                say=reporter.say,
                on_progress=counted(reporter, "reference"),
            )
    return reference, model


def reference_of(
    config: RunConfig,
    recipe: Recipe,
    model: LanguageModel,
    found: Dataset[Any],
    reporter: Reporter,
    loaded: LanguageModel | None,
) -> tuple[Mapping[bytes, float], dict[str, Any], LiveReference | None]:
    """The reference's log-probs by key, its ledger entry, and the model if it is a different one."""
    if not isinstance(config, DPOConfig):
        return {}, {}, None
    facts = {"reference_digest": "", "beta": recipe.beta}
    if not recipe.needs_reference:
        return defaultdict(float), facts, None  # never used
    reference, asked = score_reference(config, model, found.referenced(), reporter, loaded)
    return reference, {**facts, "reference_digest": asked.digest}, None if asked is model else LiveReference(asked)


def share_out(model: LanguageModel) -> None:
    """Let ranks run a sharded model even if only some of them have work."""
    if model.sharded is not None:
        ranks.when_others_work(model.sharded.take_part)


def make_ready(model: LanguageModel, run: RunConfig) -> None:
    """Patch the model's forward passes to save memory for the backward pass. Raises ConfigError.

    Only one of the two is used: the gated layers' own rule does not work inside a checkpointed layer.
    """
    if run.model.gradient_checkpointing:
        model.checkpoint_activations()
    elif model.sharded is None:
        remember_less(model.network)


def _refuse_what_a_loaded_model_brings(run: RunConfig, loaded: LanguageModel) -> None:
    """Raise ConfigError for loading settings if the model is already loaded."""
    standard, brought = ModelConfig(), ("chat_template", "device", "dtype", "share_prefixes")
    given = [f"model.{name}" for name in brought if getattr(run.model, name) != getattr(standard, name)]
    if run.data.special_tokens not in (DataConfig().special_tokens, loaded.encoder.special_tokens):
        given.append("data.special_tokens")
    if given:
        raise ConfigError(
            f"{', '.join(given)}: the model is loaded already; give this to `penchant.load`, or name the model here"
        )
    if loaded.in_memory and run.model.lora is not None and run.output is not None:
        raise ConfigError(
            "model.lora: a saved adapter names the folder of its base model, but this model is only in memory; "
            "write it with `run.export` first, or leave out `output=...`"
        )
