"""A model from whatever names it: a starter's name, a run folder, a Hugging Face folder, a GGUF file, a Hub name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from penchant.errors import ConfigError, ModelError
from penchant.models import starter
from penchant.models.adapters import quiet_peft
from penchant.models.attention import NAME
from penchant.models.exactness import why_unshared
from penchant.models.language_model import LanguageModel
from penchant.models.numerics import Numerics
from penchant.reading import os_reason, read_text
from penchant.tokens.encoding import ChatEncoder, SpecialTokens
from penchant.wording import reason_of

__all__ = [
    "clock_of",
    "is_adapter_folder",
    "load_model",
    "read_chat_template",
    "read_network",
    "resolve",
    "weights_digest",
]


def load_model(
    name: str,
    numerics: Numerics,
    *,
    chat_template: str | None = None,
    share: bool = True,
    longest: int | None = None,
    special_tokens: SpecialTokens = "refuse",
    clock: datetime | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> LanguageModel:
    """Load weights (fp32), tokenizer and chat format. Raises ModelError.

    chat_template: "plain", or a Jinja template's text; None takes the tokenizer's own. share=False never shares
    prefixes. longest: tokens of the longest sequence the model will see, which decides about sliding windows.
    special_tokens, clock: see `ChatEncoder`; a run's model has the run's clock where no other is given. Remote code is
    never run and only safetensors are read.
    """
    path = resolve(name, say)
    base, network = path, None
    if is_adapter_folder(path):
        base = resolve(_base_of_adapter(path), say)
    network = read_network(base)
    if base != path:
        network = _read_adapter(path, network)
    tokenizer = _read_tokenizer(path if (path / "tokenizer_config.json").is_file() else base)
    try:
        encoder = ChatEncoder(
            tokenizer,
            template=chat_template,
            end_ids=_end_ids(network),
            special_tokens=special_tokens,
            clock=clock or clock_of(path),
        )
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    _refuse_ids_without_row(path, tokenizer, encoder, network)
    network.to(numerics.device)
    network.eval()
    model = LanguageModel(
        network=network,
        tokenizer=tokenizer,
        encoder=encoder,
        numerics=numerics,
        name=name,
        path=path,
        digest=weights_digest(path, base),
    )
    if reason := (why_unshared(model, longest) if share else "sharing was switched off"):
        model.stop_sharing(reason)
        say(f"{name}: prefixes are not shared, each sequence runs by itself: {reason}")
    model.freeze_beyond_text()
    return model


def read_chat_template(option: str | None) -> str | None:
    """The text behind --chat-template: None, "plain", or the content of a Jinja file. Raises ConfigError."""
    if option is None or option == "plain":
        return option
    try:
        text = read_text(option)
    except (OSError, UnicodeDecodeError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"chat_template is 'plain' or a readable Jinja file, got '{option}' ({reason})") from error
    if not text.strip():
        raise ConfigError(
            f"chat_template is 'plain' or a Jinja file, got '{option}', which is empty; leave the option out to use "
            "the tokenizer's own template"
        )
    return text


def resolve(name: str, say: Callable[[str], None] = lambda _: None) -> Path:
    """The folder in which the model called `name` lies, fetched or converted first where needed. Raises ModelError."""
    if name in starter.STARTERS:
        return starter.pull(name, say)
    path = Path(name).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return _converted(path, say)
    if (path / "run.json").is_file():
        path = path / "model"
        if not path.is_dir():
            raise ModelError(f"{name}: this run has no finished model yet; resume it with --resume")
    if path.is_dir():
        return path
    if path.exists():
        raise ModelError(f"{name}: a model is a folder, a .gguf file or a name, got a file; pass the model's folder")
    if "/" in name and not name.startswith((".", "/", "~")) and name.count("/") == 1:
        return _from_hub(name)
    raise ModelError(
        f"{name}: no such folder, file or starter model; pass a Hugging Face folder, a run folder, a .gguf file, "
        f"a Hub name (owner/name) or one of: {', '.join(starter.STARTERS)}"
    )


def clock_of(path: Path) -> datetime | None:
    """The time that the run whose model this is began to tell its chat template; None for any other model."""
    ledger = path.parent / "run.json"
    try:
        return datetime.fromisoformat(_read_json(ledger)["clock"]) if ledger.is_file() else None
    except (KeyError, TypeError, ValueError):  # of an older run, or damaged, which others say
        return None


def is_adapter_folder(path: Path) -> bool:
    """Whether the folder holds a LoRA adapter rather than a whole model."""
    return (path / "adapter_config.json").is_file()


def weights_digest(*folders: Path) -> str:
    """sha256 over the bytes of all weight files, in name order: what the model is, wherever it lies."""
    digest = hashlib.sha256()
    for folder in dict.fromkeys(folders):
        for file in sorted(folder.glob("*.safetensors")):
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _converted(gguf: Path, say: Callable[[str], None]) -> Path:
    from penchant.models.convert import convert_gguf

    with gguf.open("rb") as stream:
        key = hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    folder = starter.cache_folder() / "models" / f"{gguf.stem}-{key}"
    if not starter.is_whole(folder):
        say(f"{gguf}: converting to safetensors, once")
        convert_gguf(gguf, folder)
    return folder


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    wanted = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted))
    except Exception as error:  # the Hub client has a dozen kinds of failure; all mean the same to the user
        raise ModelError(
            f"{name}: no such folder, and the Hub did not give it ({reason_of(error)}); check the name, or pass a "
            "local folder"
        ) from error


def _base_of_adapter(path: Path) -> str:
    config = _read_json(path / "adapter_config.json")
    base = config.get("base_model_name_or_path")
    if not base:
        raise ModelError(f"{path}/adapter_config.json: names no base model; add base_model_name_or_path")
    return str(base)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not readable as JSON ({reason_of(error)}); fetch the model again") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: expected a JSON object, got {type(content).__name__}; fetch the model again")
    return content


def read_network(path: Path) -> Any:
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    if not (path / "config.json").is_file():
        raise ModelError(f"{path}: holds no config.json, so it is not a model folder; pass the folder of a model")
    config = _read_json(path / "config.json")
    if config.get("quantization_config"):
        raise ModelError(f"{path}: quantised weights cannot be trained here; pass the unquantised model")
    if _names_remote_attention(config):
        raise ModelError(f"{path}/config.json: asks for attention code of the Hub, which is never run; remove it")
    if not list(path.glob("*.safetensors")):
        raise ModelError(f"{path}: holds no .safetensors weights (pickled weights are never read); convert them first")
    try:
        network, found = AutoModelForCausalLM.from_pretrained(
            str(path),
            output_loading_info=True,
            dtype=torch.float32,
            attn_implementation=NAME,
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
        )
    except Exception as error:  # foreign files fail in foreign ways
        raise ModelError(f"{path}: the model could not be read ({reason_of(error)}); fetch or save it again") from error
    if missing := sorted(found["missing_keys"]):  # transformers would fill them at random
        raise ModelError(f"{path}: its files lack {len(missing)} weights ({missing[0]}, ...); fetch or save it again")
    return network


def _names_remote_attention(config: dict[str, Any]) -> bool:
    """Whether "_attn_implementation", here or in a part, is owner/repository: transformers would fetch and run it."""
    return any(
        _names_remote_attention(value) if isinstance(value, dict) else "attn_impl" in key and "/" in str(value)
        for key, value in config.items()
    )


def _read_adapter(path: Path, network: Any) -> Any:
    from peft import PeftModel

    if not (path / "adapter_model.safetensors").is_file():
        raise ModelError(f"{path}: holds no adapter_model.safetensors (pickled adapters are never read); save it again")
    try:
        with quiet_peft():
            return PeftModel.from_pretrained(network, str(path), is_trainable=True)
    except Exception as error:  # as above
        raise ModelError(f"{path}: the adapter could not be read ({reason_of(error)}); save it again") from error


def _read_tokenizer(path: Path) -> Any:
    from transformers import AutoTokenizer

    if not any((path / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise ModelError(f"{path}: holds no tokenizer; copy tokenizer.json and tokenizer_config.json of its base there")
    try:
        return AutoTokenizer.from_pretrained(str(path), trust_remote_code=False, local_files_only=True)
    except Exception as error:  # as above
        raise ModelError(f"{path}: the tokenizer could not be read ({reason_of(error)}); save it again") from error


def _refuse_ids_without_row(path: Path, tokenizer: Any, encoder: ChatEncoder, network: Any) -> None:
    """Embeddings are often padded beyond the tokenizer; the other way round, what is written cannot be read.

    Special tokens that nothing here writes may lack a row: those of images in text-only models, or of padding.
    """
    rows = len(network.get_input_embeddings().weight)
    added = tokenizer.added_tokens_decoder
    written = {*encoder.end_ids, tokenizer.bos_token_id}

    def may_lack_a_row(index: int, text: str) -> bool:
        return index in added and added[index].special and index not in written and text not in encoder.template

    beyond = [(index, text) for text, index in tokenizer.get_vocab().items() if index >= rows]
    if strays := [(index, text) for index, text in beyond if not may_lack_a_row(index, text)]:
        index, text = max(strays)
        raise ModelError(
            f"{path}: the tokenizer has ids up to {index} ({text!r}), but the embedding has only {rows} rows; resize "
            "the embedding, or use the tokenizer that belongs to the model"
        )


def _end_ids(network: Any) -> tuple[int, ...]:
    """Tokens that end a turn, from the generation config and the model config."""
    ends: list[int] = []
    for config in (getattr(network, "generation_config", None), network.config):
        value = getattr(config, "eos_token_id", None)
        ends += [] if value is None else [value] if isinstance(value, int) else list(value)
    return tuple(dict.fromkeys(ends))
