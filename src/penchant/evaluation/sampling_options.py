"""Choose the authors of answers: several models and several endpoints, each with its own output file."""

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
    """The options of all authors; None if not given.

    output: the file of a single author; for several, samples.jsonl becomes samples-1.jsonl, samples-2.jsonl, ...
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
        """The arguments of `penchant.sample` for each: models in order, then endpoints, with the output of each.

        Raises ConfigError for options that would have no effect or are invalid. Before the first author answers, the
        name, tokenizer and chat template of each of several models are checked, and each endpoint's address and key.
        Raises ModelError for a model that could not be loaded later.
        """
        models = self.models or (() if self.endpoints else (MODEL,))
        unread = (*(() if models else OF_A_MODEL), *(() if self.endpoints else (*OF_AN_ENDPOINT, "endpoint_models")))
        for name in unread:
            if getattr(self, name):
                where = "for a model that is loaded here" if name in OF_A_MODEL else "with `endpoint=...`"
                raise ConfigError(f"`{name.removesuffix('s')}=...` is only read {where}; leave it out")
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
        """Raise UserError for a model whose tokenizer or template cannot be read; weights are not loaded."""
        if models:
            from penchant.models.encoder import load_text_side, read_chat_template
            from penchant.tokens import special_tokens_of

            template, spelt = read_chat_template(self.chat_template), special_tokens_of(self.special_tokens)
            for model in models:
                load_text_side(model, chat_template=template, special_tokens=spelt)

    def _endpoints(self) -> list[tuple[str, str]]:
        """Each address with the name of its model; an address may occur several times."""
        addresses = self.endpoints
        if len(addresses) == 1:
            addresses *= max(1, len(self.endpoint_models))
        if len(addresses) != len(self.endpoint_models):
            raise ConfigError(
                f"`endpoint_model=...` is given {len(self.endpoint_models)} times for {len(self.endpoints)} endpoints; "
                "name one model for each endpoint"
            )
        return list(zip(addresses, self.endpoint_models, strict=True))


def _look_at_endpoint(address: str, name: str, asking: Mapping[str, Any]) -> None:
    """Raise ConfigError for an invalid address, key, or sampling option; no request is sent."""
    from penchant.evaluation.endpoint_author import open_endpoint
    from penchant.models.sampler import SamplingParams

    open_endpoint(address, name, SamplingParams(), **asking)
