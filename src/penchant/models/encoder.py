"""A model's tokenizer and chat format without its weights: enough for checking data."""

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
    tokenizer = _read_tokenizer(path if (path / "tokenizer_config.json").is_file() else base)
    encoder = ChatEncoder(
        tokenizer,
        template=chat_template,
        end_ids=end_ids_in(generation_folder(path, base), config),
        special_tokens=special_tokens,
        clock=clock or clock_of(path),
    )
    text = config.get("text_config") or config  # a multimodal model has a text part in its config
    return TextSide(encoder, text.get("max_position_embeddings"))
