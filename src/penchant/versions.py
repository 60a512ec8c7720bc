"""The versions that decide what is computed: written into every run's ledger, and shown where bugs are reported."""

import platform
from importlib.metadata import PackageNotFoundError, version

import penchant

__all__ = ["installed_versions"]

PACKAGES = ("torch", "transformers", "peft", "tokenizers", "safetensors", "numpy")


def installed_versions() -> dict[str, str]:
    """By name, Penchant and Python first; from the packages' metadata, so that none of them is imported."""
    return {"penchant": penchant.__version__, "python": platform.python_version()} | {
        name: _of(name) for name in PACKAGES
    }


def _of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
