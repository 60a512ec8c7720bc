"""Refuse an argument that is not the number it should be, by its name."""

from __future__ import annotations

from numbers import Real

from penchant.errors import ConfigError
from penchant.wording import shown

__all__ = ["require_number", "require_whole"]


def require_whole(name: str, value: object, least: int = 1) -> None:
    """Raise ConfigError if the argument is given and not a whole number from `least`; True and False are none.

    Example:
        >>> require_whole("batch_size", 8)
        >>> require_whole("batch_size", 2.5)
        Traceback (most recent call last):
        ...
        penchant.errors.ConfigError: batch_size must be a whole number of at least 1, got 2.5
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise ConfigError(f"{name} must be a whole number of at least {least}, got {shown(value)}")


def require_number(name: str, value: object) -> None:
    """Raise ConfigError if the argument is not a number; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ConfigError(f"{name} must be a number, got {shown(value)}")
