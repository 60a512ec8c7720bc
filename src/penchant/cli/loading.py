"""Load a model for a command that does not train."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penchant.cli.console import Reporter

if TYPE_CHECKING:
    from penchant.tokens import SpecialTokens

__all__ = ["load"]


def load(
    name: str,
    device: str | None,
    dtype: str | None,
    chat_template: str | None,
    reporter: Reporter,
    *,
    special_tokens: SpecialTokens = "refuse",
) -> Any:
    """The language model that `--model`, `--device`, `--dtype` and `--chat-template` name. Raises UserError."""
    reporter.say(f"loading {name}")  # before the libraries are: they take some seconds themselves
    from penchant.models.load import load_model, read_chat_template
    from penchant.models.numerics import choose_numerics, prepare_process

    prepare_process()
    numerics = choose_numerics(device or "auto", dtype or "auto")
    template = read_chat_template(chat_template)
    return load_model(name, numerics, chat_template=template, special_tokens=special_tokens, say=reporter.say)
