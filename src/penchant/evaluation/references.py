"""The reference policy that a model was trained against: which it is, and how to have it in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penchant.errors import ConfigError, ModelError
from penchant.models.digests import run_of
from penchant.models.ledger import read_ledger
from penchant.training.run_folder import found_from

if TYPE_CHECKING:
    from penchant.models.language_model import LanguageModel
    from penchant.models.numerics import Numerics
    from penchant.tokens import ChatEncoder

__all__ = ["Reference", "find_reference", "ledger_of", "require_reference"]


@dataclass(frozen=True)
class Reference:
    """name: of the model to load; None where it is the policy itself with its adapter off. digest: what it must have.

    numerics, encoder, vocabulary: those of the policy, so that both compute and read alike. loaded: the model, where it
    is in memory already.
    """

    name: str | None
    digest: str | None
    numerics: Numerics
    encoder: ChatEncoder
    vocabulary: Mapping[str, int]
    loaded: LanguageModel | None = None

    @property
    def is_adapter_off(self) -> bool:
        """Whether nothing need be loaded: use `policy.as_reference()`."""
        return self.name is None

    def load(self, say: Callable[[str], None], *, same_tokens: bool = True) -> LanguageModel:
        """Load it and make sure that it is the one. Raises ModelError.

        same_tokens: whether its tokenizer must be the policy's, as it must wherever log-probs are compared.
        """
        model = self.loaded or self._read(say)
        if same_tokens and model.tokenizer.get_vocab() != self.vocabulary:
            raise ModelError(
                f"{model.name}: its tokenizer is not the policy's, so their log-probs cannot be compared; "
                "pass the model that the policy was trained from"
            )
        return model

    def _read(self, say: Callable[[str], None]) -> LanguageModel:
        from penchant.models.load import load_model

        assert self.name is not None, "the policy with its adapter off is in memory already"
        try:
            model = load_model(
                self.name,
                self.numerics,
                chat_template=self.encoder.template,
                special_tokens=self.encoder.special_tokens,
                clock=self.encoder.clock,
                say=say,
            )
        except ModelError as error:
            raise ModelError(
                f"the reference cannot be loaded: {error}, or name another with `reference=...`"
            ) from error
        if self.digest is not None and model.digest != self.digest:
            raise ModelError(
                f"{self.name}: its weights have the digest {model.digest[:12]}, but the run was trained against "
                f"{self.digest[:12]}; give an unchanged copy of that reference with `reference=...`"
            )
        return model


def ledger_of(name: str) -> dict[str, Any] | None:
    """run.json of the run folder called `name`, or of the run whose model/ it is; None for any other model."""
    path = Path(name).expanduser()
    run = path if (path / "run.json").is_file() else run_of(path)
    return read_ledger(run) if run else None


def find_reference(
    name: str, policy: LanguageModel, explicit: str | Path | LanguageModel | None, argument: str = "reference"
) -> Reference:
    """The reference of the model called `name`, which was loaded as `policy`.

    One given explicitly wins, by name or in memory. Then the adapter switched off, where that is what the run was
    trained against. Then the model that the run's ledger names, which must have the digest it had. Raises ConfigError
    where nothing names one, or the run was trained without; `argument` is what a caller would give it as.
    """

    def reference(name: str | None, digest: str | None, loaded: LanguageModel | None = None) -> Reference:
        return Reference(name, digest, policy.numerics, policy.encoder, policy.tokenizer.get_vocab(), loaded)

    if isinstance(explicit, str | Path):
        return reference(str(explicit), None)
    if explicit is not None:
        return reference(explicit.name, None, explicit)
    ledger: Mapping[str, Any] = ledger_of(name) or {}
    _refuse_reference_free(name, ledger, argument)
    digest = ledger.get("reference_digest")
    if policy.is_adapter and digest in (None, _digest_of_base(policy)):
        return reference(None, None)
    if digest is None:
        raise ConfigError(
            f"{name}: is neither a run of `penchant dpo` nor an adapter; name its reference with `{argument}=...`"
        )
    return reference(_name_in(ledger, name), digest)


def require_reference(name: str, reference: str | None, argument: str = "reference") -> None:
    """Raise UserError, before any model is loaded, where the model called `name` has no reference that is there.

    ConfigError where its run was trained without one and `reference` names none, ModelError where what is named is not
    there.
    """
    from penchant.models.names import is_adapter_folder, require_named

    ledger = ledger_of(name) or {}
    if reference is None:
        _refuse_reference_free(name, ledger, argument)
    is_adapter = is_adapter_folder(_run_folder(name) / "model")  # whose reference is mostly in memory with it
    noted = _name_in(ledger, name) if ledger.get("reference_digest") and not is_adapter else None
    if (named := reference or noted) is not None:
        try:
            require_named(named)
        except ModelError as error:
            more = "" if reference else f", or name another with `{argument}=...`"
            raise ModelError(f"the reference cannot be found: {error}{more}") from error


def _refuse_reference_free(name: str, ledger: Mapping[str, Any], argument: str) -> None:
    if ledger.get("reference_digest") == "":
        objective = ledger["config"]["dpo"]["objective"]
        raise ConfigError(
            f"{name}: was trained with {objective}, which has no reference policy; name the model to compare it with: "
            f"`{argument}=...`"
        )


def _name_in(ledger: Mapping[str, Any], name: str) -> str:
    """The reference that the ledger of the run called `name` names, as it is found from here."""
    from penchant.models.starter import STARTERS

    settings = ledger["config"]["model"]
    kind = "reference" if settings.get("reference") else "model"
    named: str = settings.get("reference") or settings["name"]
    origin = (ledger.get("origins") or {}).get(kind) or {}
    there = [place for place in (origin.get("run"), origin.get("path")) if place and Path(place).is_dir()]
    if named in STARTERS:
        return named
    return there[0] if there else found_from(_run_folder(name), ledger, named)


def _run_folder(name: str) -> Path:
    """The run called `name`, by its own folder or by that of its model."""
    path = Path(name).expanduser()
    return path if (path / "run.json").is_file() else run_of(path) or path.parent


def _digest_of_base(policy: LanguageModel) -> str:
    from penchant.models.digests import weights_digest
    from penchant.models.names import base_of

    return weights_digest(base_of(policy.path))
