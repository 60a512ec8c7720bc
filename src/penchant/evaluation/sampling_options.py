"""Who answers, made of what a user names: each of several models, and each of several endpoints, with its own file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penchant.errors import ConfigError

__all__ = ["MODEL", "SamplingOptions"]

MODEL = "smollm2-135m"
OF_A_MODEL = ("batch_size", "device", "dtype", "chat_template", "special_tokens")
OF_AN_ENDPOINT = ("concurrency", "timeout")


@dataclass(frozen=True)
class SamplingOptions:
    """What is said of those who answer; None where nothing is.

    output: the file of a single one; of several, samples.jsonl is samples-1.jsonl, samples-2.jsonl, in their order.
    """

    output: Path
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

    def calls(self) -> list[dict[str, Any]]:
        """What `penchant.sample` is told of each: models in their order, then endpoints, and where it writes.

        Raises ConfigError for what nobody would read, or reads wrongly. Before the first answers, each of several
        models is looked at, its name, its tokenizer and its chat template, and so are each endpoint's address and key.
        Raises ModelError for a model that could not be loaded when its turn came.
        """
        models = self.models or (() if self.endpoints else (MODEL,))
        unread = (*(() if models else OF_A_MODEL), *(() if self.endpoints else (*OF_AN_ENDPOINT, "endpoint_models")))
        for name in unread:
            if getattr(self, name):
                whose = "an endpoint" if name not in OF_A_MODEL else "a model that is loaded here"
                raise ConfigError(f"`{name.removesuffix('s')}=...` is for {whose}, and there is none; leave it out")
        self._look_at(models[1:])
        calls = [{"model": model, **self._given(OF_A_MODEL)} for model in models]
        asking = self._given(OF_AN_ENDPOINT)
        for address, name in self._endpoints():
            _look_at_endpoint(address, name, asking)
            calls.append({"model": None, "endpoint": address, "endpoint_model": name} | asking)
        if len(calls) == 1:
            return [calls[0] | {"output": self.output}]
        return [call | {"output": self._numbered(number)} for number, call in enumerate(calls, start=1)]

    def _given(self, names: Sequence[str]) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def _numbered(self, number: int) -> Path:
        return self.output.with_name(f"{self.output.stem}-{number}{self.output.suffix}")

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


def _look_at_endpoint(address: str, name: str, asking: Mapping[str, Any]) -> None:
    """Raises ConfigError for an address, a key, or a way to ask that cannot be; nothing is asked."""
    from penchant.evaluation.endpoint_author import open_endpoint
    from penchant.models.sampler import SamplingParams

    open_endpoint(address, name, SamplingParams(), **asking)
