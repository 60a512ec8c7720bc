"""A run whose objective had no reference has nothing to be compared with unless the user names it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penchant.errors import ConfigError

__all__ = ["refuse_reference_free"]


def refuse_reference_free(run: str, ledger: Mapping[str, Any], reference: str | None) -> None:
    """Raise ConfigError where the run of `ledger` was trained without a reference and `reference` names none."""
    if reference is None and ledger.get("reference_digest") == "":
        objective = ledger["config"]["dpo"]["objective"]
        raise ConfigError(
            f"{run}: was trained with {objective}, which has no reference policy; name the model to compare it with "
            "by --reference"
        )
