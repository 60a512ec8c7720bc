"""Load a model by name on a device and in a precision, as commands do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penchant.progress import Reporter

if TYPE_CHECKING:
    from penchant.models.language_model import LanguageModel
    from penchant.models.reward_model import RewardModel
    from penchant.tokens import SpecialTokens

__all__ = ["open_any_model", "open_model", "open_reward_model"]


def open_model(
    name: str,
    *,
    device: str | None = None,
    dtype: str | None = None,
    chat_template: str | None = None,
    special_tokens: SpecialTokens = "refuse",
    reporter: Reporter,
) -> LanguageModel:
    """Load a model in a prepared process. Raises UserError.

    device, dtype: None for the best available. chat_template: "plain", or the path of a Jinja template.
    """
    reporter.say(f"loading {name}")  # before importing the libraries, which takes seconds
    from penchant.models.load import load_model

    return load_model(name, **_how(device, dtype, chat_template, special_tokens, reporter))


def open_reward_model(
    name: str,
    *,
    device: str | None = None,
    dtype: str | None = None,
    chat_template: str | None = None,
    special_tokens: SpecialTokens = "refuse",
    reporter: Reporter,
) -> RewardModel:
    """Load a reward model; otherwise like `open_model`."""
    reporter.say(f"loading {name}")
    from penchant.models.reward_folder import load_reward_model

    return load_reward_model(name, **_how(device, dtype, chat_template, special_tokens, reporter))


def open_any_model(name: str, **how: Any) -> LanguageModel:
    """Load the reward model if the folder holds one, else the language model; otherwise like `open_model`."""
    from penchant.models.reward_folder import names_reward_model

    return open_reward_model(name, **how) if names_reward_model(name) else open_model(name, **how)


def _how(
    device: str | None, dtype: str | None, chat_template: str | None, special_tokens: SpecialTokens, reporter: Reporter
) -> dict[str, Any]:
    """Prepare the process, and return the arguments of a loader."""
    from penchant.models.encoder import read_chat_template
    from penchant.models.numerics import choose_numerics, prepare_process

    prepare_process()
    numerics = choose_numerics(device or "auto", dtype or "auto")
    template = read_chat_template(chat_template)
    return {
        "numerics": numerics,
        "chat_template": template,
        "special_tokens": special_tokens,
        "say": reporter.say,
    }
