"""Load a model by its name."""

from __future__ import annotations

from penchant.errors import ConfigError
from penchant.models.encoder import read_chat_template
from penchant.models.language_model import LanguageModel
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics, computing
from penchant.progress import Reporter, reporter_of
from penchant.tokens import SpecialTokens
from penchant.training.given import ModelLike, path_of
from penchant.training.trained import Run

__all__ = ["load"]


def load(
    model: ModelLike,
    *,
    device: str = "auto",
    dtype: str = "auto",
    chat_template: str | None = None,
    special_tokens: SpecialTokens = "refuse",
    progress: bool | Reporter = True,
) -> LanguageModel:
    """Load a language model: a starter model, a Hugging Face folder, a run, a .gguf file or a Hub name.

    Args:
        model: its name or path, or a run; a loaded model is returned unchanged and takes no options.
        device: "auto", "cpu", "cuda" or "mps".
        dtype: "auto", "float32" or "bfloat16": precision of matrix products; weights are fp32.
        chat_template: "plain" for a model of raw text, or the path of a Jinja template; None: the tokenizer's own.
        special_tokens: "refuse", "text" or "control": how to treat text that spells a special token.
        progress: see `penchant.dpo`.

    Raises:
        ModelError: there is no such model, or it cannot be used. ConfigError: an option has an invalid value.
    """
    said = {
        "device": device != "auto",
        "dtype": dtype != "auto",
        "chat_template": chat_template is not None,
        "special_tokens": special_tokens != "refuse",
    }
    option = next((name for name, is_said in said.items() if is_said), None)
    if isinstance(model, Run) and (model.path is None or option is None):
        model = model.model
    if isinstance(model, LanguageModel):
        if option is not None:
            raise ConfigError(f"`{option}=...` is for loading, and this model is loaded already; leave it out")
        return model
    reporter, template = reporter_of(progress), read_chat_template(chat_template)
    with computing():
        numerics = choose_numerics(device, dtype)
        name = path_of(model.path if isinstance(model, Run) else model, "model", "the name or path of a model")
        if name is None:
            raise ConfigError("model is None; give the name or path of a model")
        return load_model(name, numerics, chat_template=template, special_tokens=special_tokens, say=reporter.say)
