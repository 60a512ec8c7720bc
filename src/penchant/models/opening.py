"""A model by its name, on the device and in the precision that are asked for: as whole commands load one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penchant.progress import Reporter

if TYPE_CHECKING:
    from penchant.models.language_model import LanguageModel
    from penchant.tokens import SpecialTokens

__all__ = ["open_model"]


def open_model(
    name: str,
    *,
    device: str | None = None,
    dtype: str | None = None,
    chat_template: str | None = None,
    special_tokens: SpecialTokens = "refuse",
    reporter: Reporter,
) -> LanguageModel:
    """The model, in a process that is prepared for it. Raises UserError.

    device, dtype: None for the best there are. chat_template: "plain", or the path of a Jinja template.
    """
    reporter.say(f"loading {name}")  # before the libraries are: they take some seconds themselves
    from penchant.models.load import load_model, read_chat_template
    from penchant.models.numerics import choose_numerics, prepare_process

    prepare_process()
    numerics = choose_numerics(device or "auto", dtype or "auto")
    template = read_chat_template(chat_template)
    return load_model(name, numerics, chat_template=template, special_tokens=special_tokens, say=reporter.say)
