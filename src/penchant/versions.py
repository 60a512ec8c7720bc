"""The versions that decide what is computed: written into every run's ledger, and shown where bugs are reported."""

import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["VERSION", "installed_versions", "versions_in_words"]

VERSION = "0.2.0"

PACKAGES = ("torch", "transformers", "peft", "tokenizers", "safetensors", "numpy")


def installed_versions() -> dict[str, str]:
    """By name, Penchant and Python first; from the packages' metadata, so that none of them is imported."""
    return {"penchant": VERSION, "python": platform.python_version()} | {name: _of(name) for name in PACKAGES}


def _of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def versions_in_words() -> str:
    """The versions and the platform, a line each, as a bug report needs them."""
    rows = installed_versions() | {"platform": platform.platform()}
    return "\n".join(f"{name} {version}" for name, version in rows.items())
