"""Optional packages: which are missing, and what to install.

They are listed by name, not as an extra of penchant, which pip cannot resolve for a wheel or a checkout.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from penchant.errors import ConfigError

__all__ = ["EXTRAS", "install", "missing", "needing"]

EXTRAS: dict[str, dict[str, str]] = {
    "parquet": {"pyarrow": "pyarrow"},
    "hub": {"datasets": "datasets"},
    "sentiment": {"vaderSentiment": "vaderSentiment"},
    "serve": {"starlette": "starlette", "uvicorn": "uvicorn"},
    "annotate": {
        "fastapi": "fastapi",
        "uvicorn": "uvicorn",
        "sqlalchemy": "sqlalchemy",
        "alembic": "alembic",
        "markdown_it": "markdown-it-py",
        "latex2mathml": "latex2mathml",
    },
    "postgresql": {"psycopg": "'psycopg[binary]'"},
    "quantised": {"bitsandbytes": "bitsandbytes"},
    "tensorboard": {"tensorboard": "tensorboard"},
    "wandb": {"wandb": "wandb"},
    "trackio": {"trackio": "trackio"},
    "mlflow": {"mlflow": "mlflow"},
}
"""For each extra: the imported module, and its distribution."""


def missing(extra: str) -> list[str]:
    """The distributions of an extra that are not installed."""
    return [name for module, name in EXTRAS[extra].items() if find_spec(module) is None]


def install(extra: str) -> str:
    """The advice for an incomplete extra: "run pip install ..."."""
    return f"run pip install {' '.join(missing(extra) or EXTRAS[extra].values())}"


@contextmanager
def needing(extra: str, who: str) -> Iterator[None]:
    """A context for imports: a missing package of the extra becomes a ConfigError that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(f"{who}: {error.name} is not installed; {install(extra)}") from error
