"""Load the network in a model folder: check the configuration, read the weights, or raise one clear sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from penchant.errors import ModelError
from penchant.models.adapters import quiet_peft
from penchant.models.building import NOBODYS, seeded, without_bars, without_fetched_code
from penchant.models.config_check import layers_beyond, read_shapes, require_adapter_fits, require_config_fits
from penchant.models.digests import GENERATION_CONFIG
from penchant.wording import reason_of

__all__ = ["base_of_adapter", "is_reward_folder", "read_adapter", "read_json", "read_network"]


def base_of_adapter(path: Path) -> str:
    """The name of the base model of the adapter in this folder. Raises ModelError."""
    config = read_json(path / "adapter_config.json")
    base = config.get("base_model_name_or_path")
    if not base:
        raise ModelError(f"{path}/adapter_config.json: names no base model; add base_model_name_or_path")
    return str(base)


def read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read as JSON ({reason_of(error)}); fetch the model again") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: must hold a JSON object, got {type(content).__name__}; fetch the model again")
    return content


def read_network(
    path: Path, say: Callable[[str], None] = lambda _: None, *, cut: Callable[[Any], None] | None = None
) -> Any:
    """Load a transformers network in fp32, with its own attention code. Raises ModelError.

    A causal language model or, if the folder holds one, a text classifier. cut: shards a network that
    is built and has no numbers yet, so that only what this process holds of each weight is read.
    """
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    if (path / "adapter_config.json").is_file():
        raise ModelError(
            f"{path}: is itself an adapter, and an adapter needs a whole model as its base; merge that one with "
            f"`penchant export {path}` with `merged=FOLDER`, and name FOLDER as base_model_name_or_path of the other"
        )
    if not (path / "config.json").is_file():
        raise ModelError(f"{path}: holds no config.json, so it is not a model folder; pass the folder of a model")
    config = read_json(path / "config.json")
    if config.get("quantization_config"):
        raise ModelError(f"{path}: quantised weights cannot be trained here; pass the unquantised model")
    if _names_remote_attention(config):
        raise ModelError(f"{path}/config.json: names attention code on the Hub, which is never run; remove the name")
    if not list(path.glob("*.safetensors")):
        raise ModelError(f"{path}: holds no .safetensors weights (pickled weights are never read); convert them first")
    shapes = read_shapes(path)
    require_config_fits(path / "config.json", config, shapes)
    if (path / "generation_config.json").is_file():
        require_config_fits(path / "generation_config.json", read_json(path / "generation_config.json"), shapes)
    kind = AutoModelForSequenceClassification if _says_classifier(config) else AutoModelForCausalLM
    try:
        with without_bars():
            network, found = _pretrained(kind, path, cut)
    except Exception as error:  # untrusted files fail in many ways; the text says what is wrong
        raise ModelError(f"{path}: the model could not be read ({reason_of(error)}); fetch or save it again") from error
    _require_all_weights(path, network, found, say)
    return network


def _pretrained(kind: Any, path: Path, cut: Callable[[Any], None] | None) -> tuple[Any, dict[str, Any]]:
    """The network in fp32, and the missing and unexpected weights."""
    if cut is not None:
        kind = _cut_when_built(kind, path, cut)
    reading = partial(
        kind.from_pretrained,
        str(path),
        output_loading_info=True,
        dtype=torch.float32,
        trust_remote_code=False,
        use_safetensors=True,
        local_files_only=True,
    )
    try:
        network, found = reading(attn_implementation="sdpa")
    except ValueError:  # older code supports only its own attention
        network, found = reading(attn_implementation="eager")
    return network, found


def _cut_when_built(kind: Any, path: Path, cut: Callable[[Any], None]) -> Any:
    """A subclass of the folder's network class that shards the network on the meta device, before it has numbers.

    transformers then reads only this rank's shard of every weight.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(str(path), trust_remote_code=False, local_files_only=True)
    with torch.device("meta"):
        whole: Any = type(kind.from_config(config, trust_remote_code=False))

    def make(self: Any, *args: Any, **kwargs: Any) -> None:
        whole.__init__(self, *args, **kwargs)
        self.__class__ = whole
        for name, source in (self.all_tied_weights_keys or {}).items():  # otherwise done only after reading
            owner, _, last = name.rpartition(".")
            setattr(self.get_submodule(owner), last, self.get_parameter(source))
        cut(self)

    return type(whole.__name__, (whole,), {"__init__": make, "__module__": whole.__module__})


def is_reward_folder(path: Path) -> bool:
    """Whether the folder holds a text classifier, or an adapter of one. Raises ModelError."""
    adapter = path / "adapter_config.json"
    if adapter.is_file():
        return read_json(adapter).get("task_type") == "SEQ_CLS"
    return (path / "config.json").is_file() and _says_classifier(read_json(path / "config.json"))


def _says_classifier(config: dict[str, Any]) -> bool:
    named = config.get("architectures")
    return isinstance(named, list) and any(str(one).endswith("ForSequenceClassification") for one in named)


def _require_all_weights(path: Path, network: Any, found: dict[str, Any], say: Callable[[str], None]) -> None:
    """Raise ModelError for missing weights, which would be random, and for unexpected ones, perhaps half a model."""
    missing = sorted(found["missing_keys"])
    if any(name.startswith("score.") for name in missing):
        raise ModelError(
            f"{path}: is a reward model without its head (its files hold no {missing[0]}), so it gives no rewards; "
            "fetch or save it again"
        )
    if missing:
        raise ModelError(f"{path}: its files lack {len(missing)} weights ({missing[0]}, ...); fetch or save it again")
    left_over = sorted(found["unexpected_keys"])
    if beyond := layers_beyond(left_over, (name for name, _ in network.named_parameters())):
        raise ModelError(
            f"{path}: its files hold {len(beyond)} weights ({beyond[0]}, ...) of layers that config.json does not "
            "announce, so another model would be run; put back the configuration that belongs to them"
        )
    if left_over:
        say(f"{path}: {len(left_over)} weights of its files have no place in the model ({left_over[0]}, ...)")


def _names_remote_attention(config: dict[str, Any]) -> bool:
    """Whether "_attn_implementation", here or in a part, is owner/repository: transformers would fetch and run it."""
    return any(
        _names_remote_attention(value) if isinstance(value, dict) else "attn_impl" in key and "/" in str(value)
        for key, value in config.items()
    )


def read_adapter(path: Path, network: Any) -> Any:
    """Load the adapter of this folder onto the network, for further training. Raises ModelError.

    A generation config in the folder replaces the network's.
    """
    with without_fetched_code():
        from peft import PeftModel, get_peft_model_state_dict

    if not (path / "adapter_model.safetensors").is_file():
        raise ModelError(f"{path}: holds no adapter_model.safetensors (pickled adapters are never read); save it again")
    shapes = read_shapes(path)
    require_adapter_fits(path / "adapter_config.json", read_json(path / "adapter_config.json"), shapes)
    try:
        with quiet_peft(), seeded(NOBODYS):  # peft initialises an adapter randomly before reading it
            network = PeftModel.from_pretrained(network, str(path), is_trainable=True)
    except Exception as error:  # as above
        raise ModelError(
            f"{path}: the adapter could not be read ({reason_of(error)}); save it again, or name the base that it was "
            "trained on in adapter_config.json"
        ) from error
    with quiet_peft():
        trained, most = (set(get_peft_model_state_dict(network, save_embedding_layers=e)) for e in (False, True))
    if strays := sorted((trained - set(shapes)) | (set(shapes) - most)):  # peft would ignore them
        raise ModelError(
            f"{path}: the adapter does not fit its model, as {len(strays)} weights ({strays[0]}, ...) are in only one "
            "of the two; use the model that it was trained on, or save the adapter again"
        )
    if (own := path / GENERATION_CONFIG).is_file():
        network.get_base_model().generation_config = _generation_config(own)
    return network


def _generation_config(file: Path) -> Any:
    from transformers import GenerationConfig

    try:
        return GenerationConfig.from_dict(read_json(file))
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{file}: is not a generation config ({reason_of(error)}); fetch the model again") from error
