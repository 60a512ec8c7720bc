"""A reward model: a language model with a scalar head, read at the end of a text; transformers' own classifier.

It trains the class that `AutoModelForSequenceClassification` loads, so written models need no conversion.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy, deepcopy
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import nn

from penchant.errors import ModelError
from penchant.models.language_model import LanguageModel
from penchant.models.zero_head import zero_head

__all__ = ["RewardModel", "classifier_of", "reward_model_of"]


@dataclass(eq=False, repr=False)
class RewardModel(LanguageModel):
    """network: a transformers model for sequence classification with one label, or a peft model around one.

    It generates no text. A text is read completely, including the template's text after the last end-of-turn token.
    """

    task_type: ClassVar[str] = "SEQ_CLS"

    @property
    def head(self) -> Any:
        """States to rewards: a linear layer from H to 1, without a bias."""
        return self.causal_lm.score

    @property
    def pad_id(self) -> int | None:
        """transformers' padding token: the reward is read at the last other token."""
        found = self.text_config.pad_token_id
        return None if found is None else int(found)

    def require_words(self) -> None:
        """Raise ModelError, as a reward model has no token probabilities."""
        raise ModelError(
            f"{self.name}: is a reward model, which scores texts and writes none; give a language model here"
        )

    def add_up_vocabulary_gradients(self, *, at_once: bool) -> None:
        """As for a language model, for the embedding alone: there is no head over the vocabulary."""
        embedding = self.causal_lm.get_input_embeddings()
        if self.shares and self.sharded is None and isinstance(embedding, nn.Embedding):
            embedding.sparse = at_once and self.numerics.device.type == "cpu"


def reward_model_of(model: LanguageModel) -> RewardModel:
    """Give the language model a new head with zero weights: every text has reward 0. Raises ModelError.

    The network is reused, not copied: `model` must not be used afterwards.
    """
    if model.is_adapter:
        raise ModelError(
            f"{model.name}: is an adapter, and a reward model needs its own head besides; merge it with "
            "`penchant export` first, and train from the merged folder"
        )
    tokenizer = deepcopy(model.tokenizer)
    pad = _padding(tokenizer, model.encoder.end_ids, model.encoder.template, len(_embedding(model).weight))
    tokenizer.pad_token, tokenizer.padding_side = tokenizer.convert_ids_to_tokens(pad), "right"
    encoder = copy(model.encoder)
    encoder.whole_turns = True
    given = {field.name: getattr(model, field.name) for field in fields(model)}
    network = classifier_of(model.network, model.name, pad)
    return RewardModel(**given | {"network": network, "tokenizer": tokenizer, "encoder": encoder})


def classifier_of(network: Any, name: str, pad: int | None = None) -> Any:
    """transformers' classifier around the body of a language model, with a head of zeros. Raises ModelError.

    pad: the padding token for its config; None leaves the existing one.
    """
    from transformers import AutoModelForSequenceClassification

    config = network.config
    known = AutoModelForSequenceClassification._model_mapping
    if type(config) not in known:
        raise ModelError(
            f"{name}: transformers has no text classifier for a {type(network).__name__}, so a reward model trained "
            "from it could not be read elsewhere; train from another model"
        )
    config.num_labels = 1
    for part in {id(part): part for part in (config, config.get_text_config(decoder=True))}.values():
        part.pad_token_id = part.pad_token_id if pad is None else pad
    with torch.device("meta"):
        classifier = known[type(config)](config)
    require_scalar_head(classifier, name)
    body = getattr(network, network.base_model_prefix)
    setattr(classifier, classifier.base_model_prefix, body)
    weight = next(body.parameters())
    classifier.score = zero_head(classifier.score.in_features, bias=False, device=weight.device)
    classifier.config = config
    classifier.generation_config = getattr(network, "generation_config", None)
    return classifier.eval()


def require_scalar_head(network: Any, name: str) -> None:
    """Raise ModelError if a classifier does not output one number from a linear layer called `score`."""
    score = getattr(network, "score", None)
    if not isinstance(score, nn.Linear) or score.bias is not None:
        raise ModelError(
            f"{name}: a {type(network).__name__} has no linear head called score over a model that reads from left to "
            "right; pass a reward model that has"
        )
    if score.out_features != 1:
        raise ModelError(
            f"{name}: its head gives {score.out_features} numbers for a text, and a reward is one; pass a reward model"
        )


def _embedding(model: LanguageModel) -> Any:
    return model.causal_lm.get_input_embeddings()


def _padding(tokenizer: Any, ends: frozenset[int], template: str, num_rows: int) -> int:
    """A padding token with which no text ends, for transformers' batches, which read the last other token.

    It is the tokenizer's own if possible; else one of the special tokens never used here, or the last token.
    """
    special = (i for i, token in tokenizer.added_tokens_decoder.items() if token.special and str(token) not in template)
    choice: Iterator[int | None] = iter(
        (tokenizer.pad_token_id, tokenizer.unk_token_id, *special, tokenizer.bos_token_id, *reversed(range(num_rows)))
    )
    known = set(tokenizer.get_vocab().values())
    return next(i for i in choice if i is not None and i < num_rows and i in known and i not in ends)
