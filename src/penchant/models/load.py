"""Load a model, all of it: network, tokenizer and chat format, and what it can share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from penchant.errors import ConfigError, ModelError
from penchant.models.digests import weights_digest
from penchant.models.encoder import read_tokenizer
from penchant.models.ends import end_ids, generation_folder
from penchant.models.exactness import keeps_rightly, require_language_model, why_unshared
from penchant.models.language_model import LanguageModel
from penchant.models.names import base_of, clock_of, resolve
from penchant.models.network import is_reward_folder, read_adapter, read_network
from penchant.models.numerics import Numerics, give_back_freed_memory
from penchant.models.quantised import bitsandbytes, quantise, says_quantised
from penchant.models.sharding import Cut, require_sharded, to_device
from penchant.tokens.encoding import ChatEncoder
from penchant.tokens.spelt import SpecialTokens

__all__ = ["assemble", "load_model", "share_where_exact"]

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
    tokenizer = read_tokenizer(path if (path / "tokenizer_config.json").is_file() else base)
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
