"""A model's tokenizer and chat format without its weights: all that looking at data needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from penchant.models.config_types import require_types
from penchant.models.ends import end_ids_in, generation_folder
from penchant.models.load import _read_tokenizer, base_of, clock_of, resolve
from penchant.models.network import read_json
from penchant.tokens.encoding import ChatEncoder
from penchant.tokens.spelt import SpecialTokens

__all__ = ["TextSide", "load_text_side"]


@dataclass(frozen=True)
class TextSide:
    """context_length: the longest sequence the model was built for, in tokens; None where its config does not say."""

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
    """What `load_model` would encode text with, in a fraction of a second; arguments as there. Raises ModelError."""
    path = resolve(name, say)
    base = base_of(path, say)
    config = read_json(base / "config.json")
    require_types(base / "config.json", config)
    tokenizer = _read_tokenizer(path if (path / "tokenizer_config.json").is_file() else base)
    encoder = ChatEncoder(
        tokenizer,
        template=chat_template,
        end_ids=end_ids_in(generation_folder(path, base), config),
        special_tokens=special_tokens,
        clock=clock or clock_of(path),
    )
    text = config.get("text_config") or config  # of a model that also sees or hears, one part of its config
    return TextSide(encoder, text.get("max_position_embeddings"))
