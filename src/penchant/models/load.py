"""Load a model by name: a starter, a run folder, a Hugging Face folder, a GGUF file, or a Hub name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from penchant.errors import ConfigError, ModelError
from penchant.models import starter
from penchant.models.cache import cache_folder, is_whole
from penchant.models.config_types import require_types
from penchant.models.convert import convert_gguf
from penchant.models.digests import (
    file_sha256,
    require_base_unchanged,
    require_run_unchanged,
    run_of,
    weights_digest,
)
from penchant.models.ends import end_ids, generation_folder
from penchant.models.exactness import keeps_rightly, require_language_model, why_unshared
from penchant.models.language_model import LanguageModel
from penchant.models.ledger import read_ledger
from penchant.models.network import (
    base_of_adapter,
    is_reward_folder,
    read_adapter,
    read_json,
    read_network,
)
from penchant.models.numerics import Numerics, give_back_freed_memory
from penchant.models.quantised import bitsandbytes, quantise, says_quantised
from penchant.models.sharding import Cut, require_sharded, to_device
from penchant.reading import os_reason, read_text
from penchant.tokens.encoding import ChatEncoder
from penchant.tokens.spelt import SpecialTokens
from penchant.wording import reason_of

__all__ = [
    "assemble",
    "base_of",
    "clock_of",
    "is_adapter_folder",
    "load_model",
    "read_chat_template",
    "require_named",
    "resolve",
    "share_where_exact",
    "weights_digest",
]

AnyModel = TypeVar("AnyModel", bound=LanguageModel)


def load_model(
    name: str,
    numerics: Numerics,
    *,
    chat_template: str | None = None,
    share: bool = True,
    longest: int | None = None,
    special_tokens: SpecialTokens = "refuse",
    clock: datetime | None = None,
    cut: Cut | None = None,
    quantised: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> LanguageModel:
    """Load weights (fp32), tokenizer and chat format. Raises ModelError.

    chat_template: "plain", or a Jinja template's text; None uses the tokenizer's own. share=False never shares
    prefixes. longest: tokens of the longest sequence the model will see, which decides about sliding windows.
    special_tokens, clock: see `ChatEncoder`; a run's model uses the run's clock by default. cut: how every rank reads
    and holds a shard of each weight; all must load together; ConfigError for a model that cannot be sharded.
    quantised: hold the weights of linear layers in 4 bits, for training an adapter; an adapter trained in this way
    records it.
    Remote code is never run and only safetensors are read.
    """
    path = resolve(name, say)
    if is_reward_folder(path):
        raise ModelError(
            f"{name}: is a reward model, which scores texts and writes none; pass a language model, or use this one as "
            f'a judge, `judge="reward:{name}"`'
        )
    model = assemble(
        LanguageModel,
        name,
        path,
        numerics,
        read_network,
        chat_template,
        special_tokens,
        clock or clock_of(path),
        say,
        cut=cut,
        quantised=quantised,
    )
    require_language_model(model)
    share_where_exact(model, longest, say, share=share)
    if cut is not None:
        require_sharded(model)
        give_back_freed_memory()  # what was gathered for testing it
    elif not model.shares:
        model.keeps = keeps_rightly(model)
        if not model.keeps:
            say(f"{name}: its own code has no exact key/value cache; sampling reruns the whole text for every token")
    return model


def assemble(
    kind: type[AnyModel],
    name: str,
    path: Path,
    numerics: Numerics,
    read: Callable[..., Any],
    chat_template: str | None,
    special_tokens: SpecialTokens,
    clock: datetime | None,
    say: Callable[[str], None],
    *,
    cut: Cut | None = None,
    quantised: bool = False,
) -> AnyModel:
    """Build a model from its folder, before it is known what it can share. Raises ModelError.

    read: makes the network from a folder with a whole model; cut: how it is sharded over the ranks.
    quantised: see `load_model`.
    """
    base = base_of(path, say)
    quantised = quantised or says_quantised(path)
    if quantised:
        bitsandbytes(f"{name}, quantised")  # before anything large is read
    if quantised and cut is not None:
        raise ConfigError(
            f"parallel.mode: {name} has quantised weights, which cannot be sharded; leave parallel.mode out"
        )
    network = read(base, say, cut=cut)
    if quantised:
        quantise(network, numerics.device)
    if base != path:
        network = read_adapter(path, network)
    tokenizer = _read_tokenizer(path if (path / "tokenizer_config.json").is_file() else base)
    try:
        encoder = ChatEncoder(
            tokenizer,
            template=chat_template,
            end_ids=end_ids(generation_folder(path, base), network),
            special_tokens=special_tokens,
            clock=clock,
            whole_turns=kind.task_type == "SEQ_CLS",
        )
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    _refuse_ids_without_row(path, tokenizer, encoder, network)
    if cut is not None and cut.offloads:
        to_device(network, numerics.device)
    else:
        network.to(numerics.device)
    network.eval()
    model = kind(
        network=network,
        tokenizer=tokenizer,
        encoder=encoder,
        numerics=numerics,
        name=name,
        path=path,
        digest=weights_digest(path, base),
    )
    if cut is not None:
        cut.belongs_to(model)
    return model


def share_where_exact(
    model: LanguageModel, longest: int | None, say: Callable[[str], None], *, share: bool = True
) -> None:
    """Let the model share prefixes, unless not requested or not exact, which is reported."""
    if reason := (why_unshared(model, longest) if share else "sharing was switched off"):
        model.stop_sharing(reason)
        say(f"{model.name}: prefixes are not shared, each sequence is run separately: {reason}")
    model.freeze_beyond_text()


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


def require_named(name: str) -> None:
    """Raise ModelError if the name cannot be a model, without downloading or loading anything."""
    path = Path(name).expanduser()
    if name in starter.STARTERS or path.exists() or _is_hub_name(name):
        return
    if name.startswith("runs/"):  # the examples' folder of runs; no owner on the Hub has this name
        there = sorted(run.name for run in path.parent.iterdir() if run.is_dir()) if path.parent.is_dir() else []
        listed = f"the folder runs holds {', '.join(there[:8])}" if there else "there are no runs here; train one first"
        raise ModelError(f"{name}: there is no such run; {listed}")
    raise ModelError(
        f"{name}: no such folder, file or starter model; pass a Hugging Face folder, a run folder, a .gguf file, "
        f"a Hub name (owner/name) or one of: {', '.join(starter.STARTERS)}"
    )


def _is_hub_name(name: str) -> bool:
    return name.count("/") == 1 and not name.startswith((".", "/", "~", "runs/"))


def resolve(name: str, say: Callable[[str], None] = lambda _: None) -> Path:
    """The folder of the model `name`, downloaded or converted first if needed. Raises ModelError."""
    if name in starter.STARTERS:
        return starter.pull(name, say)
    path = Path(name).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return _converted(path, say)
    if (path / "run.json").is_file():
        path = path / "model"
        if not path.is_dir():
            raise ModelError(f"{name}: this run has no finished model yet; continue it with `resume=True`")
    if path.is_dir():
        if run := run_of(path):
            require_run_unchanged(run)
        return path
    if path.exists():
        raise ModelError(f"{name}: is a file, but models are folders, .gguf files or names; pass the model's folder")
    require_named(name)
    return _from_hub(name)


def clock_of(path: Path) -> datetime | None:
    """The chat-template clock of the run that made this model; None for any other model."""
    began = read_ledger(run).get("clock") if (run := run_of(path)) else None
    return datetime.fromisoformat(began) if began else None


def is_adapter_folder(path: Path) -> bool:
    """Whether the folder holds a LoRA adapter rather than a whole model."""
    return (path / "adapter_config.json").is_file()


def base_of(path: Path, say: Callable[[str], None] = lambda _: None) -> Path:
    """The folder of an adapter's base model, or `path` itself if it is a whole model. Raises ModelError."""
    if not is_adapter_folder(path):
        return path
    base = resolve(base_of_adapter(path), say)
    if run := run_of(path):
        require_base_unchanged(run, base)
    return base


def _converted(gguf: Path, say: Callable[[str], None]) -> Path:
    folder = cache_folder() / "models" / f"{gguf.stem}-{file_sha256(gguf)[:16]}"
    if not is_whole(folder):
        say(f"{gguf}: converting to safetensors, once")
        convert_gguf(gguf, folder)
    return folder


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    wanted = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted))
    except Exception as error:  # the Hub client raises many kinds of errors with the same meaning for the user
        raise ModelError(
            f"{name}: there is no such folder, and it could not be fetched from the Hub ({reason_of(error)}); check "
            "the name, or pass a local folder"
        ) from error


def _read_tokenizer(path: Path) -> Any:
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


def _refuse_ids_without_row(path: Path, tokenizer: Any, encoder: ChatEncoder, network: Any) -> None:
    """Raise ModelError for token ids without an embedding row; more rows than tokens are fine.

    Special tokens that are never used here, such as those of images or padding, may lack a row.
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
