"""The time given to chat templates: that of the run's start, in any format."""

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
"""A macro prepended to a template that uses the time, replacing transformers' function of that name.

transformers passes no functions to a template, so the macro looks up formats and reports a missing one. It ends with a
line break, which transformers removes after a block: the text after it is still at the start, and no white space of
the template is lost.
"""
EPOCH = re.compile(r"%%|%[-_0^#]*s")


class Clock:
    """Gives one template the time `now`. source: the template to render."""

    def __init__(self, now: datetime, source: str) -> None:
        self.is_asked = "strftime_now" in source
        self.source = MACRO + source if self.is_asked else source
        self._now = now
        self._told: dict[str, str] = {}

    @property
    def num_lines_before(self) -> int:
        """The number of lines of `source` before the template."""
        return int(self.is_asked)

    @property
    def told(self) -> str | None:
        """The time as known to the template; None if it does not use the time."""
        return self._now.isoformat() if self.is_asked else None

    def rendered(self, render: Callable[..., str]) -> str:
        """The result of `render`, given the template's variables, once all requested formats are known."""
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
        """The local time as formatted by `strftime`; transformers' function has no time zone.

        Seconds since 1970 would depend on the rendering machine's time zone.
        """
        seconds = str(int(self._now.timestamp()))
        wanted = EPOCH.sub(lambda found: found[0] if found[0] == "%%" else seconds, wanted)
        try:
            return self._now.replace(tzinfo=None).strftime(wanted)
        except ValueError as error:
            raise jinja2.TemplateRuntimeError(f"it asks for the time as {wanted!r}: {error}") from error
