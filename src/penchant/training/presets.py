"""Published recipes by name: their training settings, and the source.

A preset says how to train, not what: no model and no data. Any setting given beside it overrides it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from penchant.errors import ConfigError
from penchant.wording import nearest, shown

__all__ = ["PRESETS", "Preset", "preset_named"]


@dataclass(frozen=True)
class Preset:
    """A recipe. source: its publication. trained: what it was made for. settings: dotted keys to values."""

    name: str
    source: str
    trained: str
    settings: Mapping[str, Any]

    def in_words(self) -> str:
        """The settings in one line, in the form in which they are given.

        Example:
            >>> PRESETS["zephyr"].in_words().partition(", optimiser.learning_rate")[0]
            'dpo.objective=dpo, dpo.beta=0.01'
        """
        return ", ".join(
            f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in self.settings.items()
        )


def _preset(
    name: str,
    source: str,
    trained: str,
    *,
    learning_rate: float,
    schedule: str,
    max_length: int,
    max_prompt_length: int | None = None,
    epochs: int = 1,
    **objective: Any,
) -> Preset:
    """A preset; all used batches of 128 pairs, a tenth of the steps as warm-up and no weight decay."""
    settings = {
        **{f"dpo.{key}": value for key, value in objective.items()},
        "optimiser.learning_rate": learning_rate,
        "optimiser.schedule": schedule,
        "optimiser.warmup_ratio": 0.1,
        "optimiser.weight_decay": 0.0,
        "optimiser.epochs": epochs,
        "optimiser.batch_size": 128,
        "data.max_length": max_length,
        **({} if max_prompt_length is None else {"data.max_prompt_length": max_prompt_length}),
    }
    return Preset(name, source, trained, MappingProxyType(settings))


HANDBOOK = "alignment-handbook, recipes/"
INSTRUCT = "open-instruct, "
ALL = (
    _preset(
        "tulu3",
        f"Tulu 3, arXiv 2411.15124, section 5; {INSTRUCT}configs/train_configs/tulu3/tulu3_dpo_8b.yaml",
        "Tulu 3 8B, from its SFT model",
        objective="dpo_norm",
        beta=5.0,
        learning_rate=5e-7,
        schedule="linear",
        max_length=2048,
    ),
    _preset(
        "olmo3-instruct",
        f"Olmo 3, arXiv 2512.13961; {INSTRUCT}scripts/train/olmo3/7b_instruct_dpo.sh",
        "Olmo 3 7B Instruct, on delta pairs, from its SFT model",
        objective="dpo_norm",
        beta=5.0,
        learning_rate=1e-6,
        schedule="linear",
        max_length=16384,
    ),
    _preset(
        "zephyr",
        f"Zephyr, arXiv 2310.16944, as corrected in {HANDBOOK}zephyr-7b-beta/dpo/config_full.yaml",
        "Zephyr 7B beta, on UltraFeedback",
        objective="dpo",
        beta=0.01,
        learning_rate=5e-7,
        schedule="cosine",
        max_length=1024,
        max_prompt_length=512,
    ),
    _preset(
        "smollm2",
        f"{HANDBOOK}smollm2/dpo/config.yaml",
        "SmolLM2 1.7B Instruct, on UltraFeedback",
        objective="dpo",
        beta=0.5,
        learning_rate=1e-6,
        schedule="cosine",
        max_length=1024,
        max_prompt_length=512,
        epochs=3,
    ),
    _preset(
        "smollm2-small",
        f"{HANDBOOK}smollm2/dpo/config_smol.yaml",
        "SmolLM2 135M and 360M Instruct, on UltraFeedback",
        objective="dpo",
        beta=0.5,
        learning_rate=1e-6,
        schedule="cosine",
        max_length=1024,
        max_prompt_length=512,
        epochs=2,
    ),
    _preset(
        "simpo-mistral-base",
        "SimPO, arXiv 2405.14734; its repository, training_configs/mistral-7b-base-simpo.yaml",
        "Mistral 7B, from its SFT model, on UltraFeedback",
        objective="simpo",
        beta=2.0,
        gamma=1.6,
        learning_rate=3e-7,
        schedule="cosine",
        max_length=1024,
        max_prompt_length=512,
    ),
    _preset(
        "simpo-llama3-instruct",
        "SimPO, arXiv 2405.14734; its repository, training_configs/llama-3-8b-instruct-simpo-v2.yaml",
        "Llama 3 8B Instruct, on answers of its own",
        objective="simpo",
        beta=10.0,
        gamma=3.0,
        learning_rate=1e-6,
        schedule="cosine",
        max_length=2048,
        max_prompt_length=1800,
    ),
)
PRESETS: Mapping[str, Preset] = MappingProxyType({one.name: one for one in ALL})
"""Published recipes by name."""


def preset_named(name: object) -> Preset:
    """The preset of this name. Raises ConfigError, which suggests the nearest name and lists all.

    Example:
        >>> preset_named("tulu3").settings["dpo.objective"]
        'dpo_norm'
    """
    if isinstance(name, str) and name in PRESETS:
        return PRESETS[name]
    near = nearest(str(name), PRESETS)
    hint = f"; did you mean {near!r}?" if near else ""
    raise ConfigError(f"there is no preset {shown(name)}{hint}; choose from {', '.join(PRESETS)}")
