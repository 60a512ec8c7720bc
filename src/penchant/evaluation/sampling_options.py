"""Who answers, made of what a user names: models that are loaded when their turn comes, and endpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from penchant.data import Prompt
from penchant.errors import ConfigError
from penchant.progress import Reporter

if TYPE_CHECKING:
    from penchant.evaluation.authors import Author
    from penchant.models.sampler import SamplingParams

__all__ = ["MODEL", "SamplingOptions"]

MODEL = "smollm2-135m"
OF_A_MODEL = ("batch_size", "device", "dtype", "chat_template", "special_tokens")
OF_AN_ENDPOINT = ("concurrency", "timeout")

Opening = Callable[[Sequence[Prompt], Reporter], "Author"]
"""From the prompts that will be asked to who answers them."""


@dataclass(frozen=True)
class SamplingOptions:
    """What is said of those who answer; None where nothing is."""

    params: SamplingParams
    models: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    endpoint_models: tuple[str, ...] = ()
    concurrency: int | None = None
    timeout: float | None = None
    batch_size: int | None = None
    device: str | None = None
    dtype: str | None = None
    chat_template: str | None = None
    special_tokens: str | None = None

    def authors(self) -> list[Opening]:
        """Models in their order, then endpoints. Raises ConfigError for what nobody would read, or reads wrongly.

        Of several models each is looked at before the first answers: its name, its tokenizer, its chat template. Raises
        ModelError for one that could not be loaded when its turn came.
        """
        models = self.models or (() if self.endpoints else (MODEL,))
        unread = (*(() if models else OF_A_MODEL), *(() if self.endpoints else (*OF_AN_ENDPOINT, "endpoint_models")))
        for name in unread:
            if getattr(self, name):
                whose = "an endpoint" if name not in OF_A_MODEL else "a model that is loaded here"
                raise ConfigError(f"`{name.removesuffix('s')}=...` is for {whose}, and there is none; leave it out")
        self._look_at(models[1:])
        openings: list[Opening] = [partial(self._load, model) for model in models]
        for address, name in self._endpoints():
            openings.append(partial(_as_it_is, self._open(address, name)))
        return openings

    def _look_at(self, models: Sequence[str]) -> None:
        """Raises UserError for a model whose text side cannot be read, as far as that shows without its weights."""
        if models:
            from penchant.models.encoder import load_text_side
            from penchant.models.load import read_chat_template
            from penchant.tokens import special_tokens_of

            template, spelt = read_chat_template(self.chat_template), special_tokens_of(self.special_tokens)
            for model in models:
                load_text_side(model, chat_template=template, special_tokens=spelt)

    def _endpoints(self) -> list[tuple[str, str]]:
        """Each address with the name of its model; one address may have several."""
        addresses = self.endpoints
        if len(addresses) == 1:
            addresses *= max(1, len(self.endpoint_models))
        if len(addresses) != len(self.endpoint_models):
            raise ConfigError(
                f"`endpoint_model=...`: {len(self.endpoint_models)} for {len(self.endpoints)} endpoints; "
                "an endpoint serves models by name, so give one for each"
            )
        return list(zip(addresses, self.endpoint_models, strict=True))

    def _open(self, address: str, name: str) -> Author:
        from penchant.evaluation.endpoint_author import open_endpoint

        return open_endpoint(address, name, self.params, concurrency=self.concurrency, timeout=self.timeout)

    def _load(self, name: str, prompts: Sequence[Prompt], reporter: Reporter) -> Author:
        from penchant.models.opening import open_model
        from penchant.tokens import special_tokens_of

        model = open_model(
            name,
            device=self.device,
            dtype=self.dtype,
            chat_template=self.chat_template,
            special_tokens=special_tokens_of(self.special_tokens),
            reporter=reporter,
        )
        from penchant.evaluation.authors import ModelAuthor
        from penchant.models.requests import refuse_long_prompts

        refuse_long_prompts(model, prompts)
        return ModelAuthor(model, self.params, self.batch_size or 64)


def _as_it_is(author: Author, prompts: Sequence[Prompt], reporter: Reporter) -> Author:
    return author
