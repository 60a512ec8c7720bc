"""LoRA adapters through peft; the reference policy of a LoRA run is the same network with the adapter off."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from penchant.errors import ConfigError
from penchant.models.building import BUILDING, seeded, without_fetched_code
from penchant.models.language_model import LanguageModel
from penchant.wording import reason_of

__all__ = ["attach", "is_adapted", "quiet_peft"]


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Silence peft's warnings that do not concern the user: a deprecated name, tied weights."""
    with BUILDING, warnings.catch_warnings():  # filters are global, and the last to leave restores its own
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        for known in ("tie_word_embeddings", "save_embedding_layers"):  # see merging.py; written with what it changes
            warnings.filterwarnings("ignore", message=f"(?s).*{known}.*", category=UserWarning)
        yield


def is_adapted(module: nn.Module) -> bool:
    """Whether an adapter, of any of peft's kinds, wraps this very module."""
    if "peft" not in sys.modules:  # nobody has made one; importing it takes seconds
        return False
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    return isinstance(module, (BaseTunerLayer, AuxiliaryTrainingWrapper))


def attach(model: LanguageModel, rank: int, alpha: float, targets: Sequence[str], seed: int) -> None:
    """Freeze the weights and add an adapter of this rank to `targets` (none: every linear layer but the head).

    The adapter starts as zero, so the policy starts as its reference. A model that already has an adapter continues
    training that one. Raises ConfigError for targets that the model does not have, and if peft fails.
    """
    if model.is_adapter:
        raise ConfigError(
            "the model already is a LoRA adapter, which is trained further without a new one; leave out `lora=True`, "
            "or fold it into its model with `penchant export` and train a new one on that"
        )
    with without_fetched_code():
        from peft import LoraConfig, get_peft_model

    head = next((name for name, module in model.network.named_modules() if module is model.head), "lm_head")
    if any(head == target or head.endswith(f".{target}") for target in targets):
        raise ConfigError(
            f"model.lora.targets: the head ({head}) takes no adapter here, got {', '.join(targets)}; leave the head out"
        )
    config = LoraConfig(
        task_type=model.task_type,
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        target_modules=list(targets) or "all-linear",
    )
    kind = type(model.causal_lm).__name__
    with seeded(seed):
        try:
            with quiet_peft():
                model.network = get_peft_model(model.network, config)
        except ValueError as error:
            fault = "left out means every linear layer, and peft cannot adapt them all"
            if targets:
                fault = f"the model has no such modules, got {', '.join(targets)}"
            raise ConfigError(
                f"model.lora.targets: {fault} ({reason_of(error)}); name modules that take an adapter"
            ) from error
        except Exception as error:  # peft knows some layers by their weights, and fails on others in any way
            raise ConfigError(
                f"model.lora: peft cannot put an adapter on a {kind} ({reason_of(error)}); name other "
                "model.lora.targets, or leave model.lora out and train all weights"
            ) from error
    for written in model.network.peft_config.values():
        written.base_model_name_or_path = str(model.path.resolve())  # absolute, so that peft finds it from any folder
    model.network.eval()
    model.freeze_beyond_text()
