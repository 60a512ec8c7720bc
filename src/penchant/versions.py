"""The versions that affect results: recorded in every run's ledger, and shown for bug reports."""

import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["VERSION", "installed_versions", "versions_in_words"]

VERSION = "0.2.0"

PACKAGES = ("torch", "transformers", "peft", "tokenizers", "safetensors", "numpy")


def installed_versions() -> dict[str, str]:
    """Versions by name, Penchant and Python first; from package metadata, without importing any."""
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
