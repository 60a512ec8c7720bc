"""A model's tokenizer and chat format without its weights: enough for checking data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from penchant.errors import ConfigError, ModelError
from penchant.models.config_types import require_types
from penchant.models.ends import end_ids_in, generation_folder
from penchant.models.names import base_of, clock_of, resolve
from penchant.models.network import read_json
from penchant.reading import os_reason, read_text
from penchant.tokens.encoding import ChatEncoder
from penchant.tokens.spelt import SpecialTokens
from penchant.wording import reason_of

__all__ = ["TextSide", "load_text_side", "read_chat_template", "read_tokenizer"]


@dataclass(frozen=True)
class TextSide:
    """context_length: the model's context length in tokens; None if its config does not say."""

    encoder: ChatEncoder
    context_length: int | None


def load_text_side(
    name: str,
    *,
    chat_template: str | None = None,
    special_tokens: SpecialTokens = "refuse",
    clock: datetime | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> TextSide:
    """Load only the encoder of `load_model`, in a fraction of a second; same arguments. Raises ModelError."""
    path = resolve(name, say)
    base = base_of(path, say)
    config = read_json(base / "config.json")
    require_types(base / "config.json", config)
    tokenizer = read_tokenizer(path if (path / "tokenizer_config.json").is_file() else base)
    encoder = ChatEncoder(
        tokenizer,
        template=chat_template,
        end_ids=end_ids_in(generation_folder(path, base), config),
        special_tokens=special_tokens,
        clock=clock or clock_of(path),
    )
    text = config.get("text_config") or config  # a multimodal model has a text part in its config
    return TextSide(encoder, text.get("max_position_embeddings"))


def read_chat_template(option: str | None) -> str | None:
    """The text of a chat template: None, "plain", or the content of a Jinja file. Raises ConfigError."""
    if option is None or option == "plain":
        return option
    try:
        text = read_text(option)
    except (OSError, UnicodeDecodeError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            f"chat_template must be 'plain' or a readable Jinja file, got '{option}' ({reason})"
        ) from error
    if not text.strip():
        raise ConfigError(
            f"chat_template must be 'plain' or a Jinja file, got '{option}', which is empty; leave it out to use the "
            "tokenizer's own template"
        )
    return text


def read_tokenizer(path: Path) -> Any:
    """The tokenizer of this folder, as transformers reads it. Raises ModelError."""
    from transformers import AutoTokenizer

    if not any((path / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise ModelError(
            f"{path}: holds no tokenizer; copy tokenizer.json and tokenizer_config.json of its base model there"
        )
    if (path / "config.json").is_file():  # also read for the tokenizer
        require_types(path / "config.json", read_json(path / "config.json"))
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path), trust_remote_code=False, local_files_only=True)
    except Exception as error:  # as above
        raise ModelError(f"{path}: the tokenizer could not be read ({reason_of(error)}); save it again") from error
    # prevents a log message about texts too long for the model; lengths are checked here
    tokenizer.deprecation_warnings["sequence-length-is-longer-than-the-specified-maximum"] = True
    return tokenizer
