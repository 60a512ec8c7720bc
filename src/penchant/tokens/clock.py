"""The time that a chat template is told: that of the run, in any format, not of the day on which it is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

import jinja2

__all__ = ["Clock"]

ASKED = "the time is wanted as "
MACRO = (
    "{%- macro strftime_now(format) -%}"
    "{%- if format not in penchant_clock -%}{{- raise_exception('" + ASKED + "' ~ format) -}}{%- endif -%}"
    "{{- penchant_clock[format] -}}{%- endmacro %}\n"
)
"""Stands before a template that asks for the time, in the place of transformers' function of that name.

transformers passes no functions to a template, so the macro looks formats up and says which one is not there. It ends
with a line break, which transformers takes off behind a block: what follows is still read as the start of a text, and
no white space of the template is lost.
"""
EPOCH = re.compile(r"%%|%[-_0^#]*s")


class Clock:
    """Tells one template the time `now`. source: the template as it is to be rendered."""

    def __init__(self, now: datetime, source: str) -> None:
        self.is_asked = "strftime_now" in source
        self.source = MACRO + source if self.is_asked else source
        self._now = now
        self._told: dict[str, str] = {}

    @property
    def num_lines_before(self) -> int:
        """Lines of `source` that are not the template's."""
        return int(self.is_asked)

    @property
    def told(self) -> str | None:
        """All that the template can know of the time; None for one that does not ask."""
        return self._now.isoformat() if self.is_asked else None

    def rendered(self, render: Callable[..., str]) -> str:
        """What `render`, given variables for the template, returns once it is told all that it asks for."""
        if not self.is_asked:
            return render()
        while True:
            told = self._told
            try:
                return render(penchant_clock=told)
            except jinja2.TemplateError as error:
                wanted = str(error).removeprefix(ASKED)
                if wanted == str(error) or wanted in told:
                    raise
                self._told = told | {wanted: self._written(wanted)}

    def _written(self, wanted: str) -> str:
        """As `strftime` of the local time writes it, of which transformers' function knows no zone.

        Seconds since 1970 would be read off the zone of the machine that renders.
        """
        seconds = str(int(self._now.timestamp()))
        wanted = EPOCH.sub(lambda found: found[0] if found[0] == "%%" else seconds, wanted)
        try:
            return self._now.replace(tzinfo=None).strftime(wanted)
        except ValueError as error:
            raise jinja2.TemplateRuntimeError(f"it asks for the time as {wanted!r}: {error}") from error
