"""Translations of the report's texts, by the English text."""

import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Literal, get_args

from penchant.errors import ConfigError

__all__ = ["Language", "Words", "interval", "words_in"]

Language = Literal["en", "zh"]
Words = Callable[[str], str]


def words_in(language: str) -> Words:
    """A function that translates English texts; unknown ones are unchanged. Raises ConfigError."""
    if language not in get_args(Language):
        raise ConfigError(f"language must be {' or '.join(get_args(Language))}, got {language!r}; choose one of them")
    if language == "en":
        return str
    text = files("penchant.report").joinpath(f"{language}.json").read_text(encoding="utf-8")
    known: Mapping[str, str] = json.loads(text)
    return lambda english: known.get(english, english)


def interval(limits: tuple[float, float], _: Words, form: str = "{:.1%}") -> str:
    """A 95% interval in words."""
    low, high = map(form.format, limits)
    return _("95% interval {low} to {high}").format(low=low, high=high)
