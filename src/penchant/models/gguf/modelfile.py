"""An Ollama Modelfile for a GGUF file: the path of the weights, the format of turns, and the stop tokens.

Ollama reads Go templates, not Jinja. A chat template is translated if it writes each turn independently, between two
texts that depend only on the role; this is tested, so no list of templates is needed. Otherwise Ollama reads the GGUF
file's template.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penchant.data.records import Message
from penchant.models.gguf.vocabulary import encloses
from penchant.tokens.encoding import ChatEncoder

__all__ = ["Turns", "modelfile", "turns_of"]

TRIED = (
    ("user",),
    ("user", "assistant", "user"),
    ("system", "user"),
    ("system", "user", "assistant", "user", "assistant", "user"),
)
"""The roles of test conversations that must be rendered exactly as by the template."""


@dataclass(frozen=True)
class Turns:
    """around: by role, the texts before and after the content. opening: the text before the answer.

    start: the text before all turns. system: the template's default system message, or None.
    """

    around: dict[str, tuple[str, str]]
    opening: str
    start: str = ""
    system: str | None = None

    def text(self, messages: Sequence[Message]) -> str:
        """A conversation as Ollama renders it, up to the start of the answer."""
        if self.system is not None and messages[0].role != "system":
            messages = [Message(role="system", content=self.system), *messages]
        turns = (f"{self.around[m.role][0]}{m.content}{self.around[m.role][1]}" for m in messages)
        return "".join((self.start, *turns, self.opening))

    def in_go(self) -> str:
        """The same as a Go template."""
        roles = [f'eq .Role "{role}" }}}}{a}{{{{ .Content }}}}{b}' for role, (a, b) in self.around.items()]
        turn = "{{ if " + "{{ else if ".join(roles) + "{{ end }}"
        return self.start + "{{ range .Messages }}" + turn + "{{ end }}" + self.opening


def turns_of(encoder: ChatEncoder) -> Turns | None:
    """The format of turns in the chat template; None if turns are not independent.

    A beginning-of-sequence token is left out if the GGUF file's reader adds it.
    """
    tokenizer: Any = encoder.tokenizer
    begins = tokenizer.bos_token if encloses(tokenizer)[0] else ""

    def written(*roles: str) -> str:
        return encoder.prompt_text(_conversation(*roles)).removeprefix(begins)

    try:
        found = _taken_apart(written("user"), written("user", "assistant", "user"), _or_none(written, "system", "user"))
        tried = [roles for roles in TRIED if "system" in found.around or "system" not in roles]
        holds = all(found.text(_conversation(*roles)) == written(*roles) for roles in tried)
    except Exception:  # a template may refuse any conversation, with any error
        return None
    texts = (found.start, found.opening, found.system or "", *sum(found.around.values(), ()))
    return found if holds and not any(mark in text for text in texts for mark in ("{{", '"""')) else None


def modelfile(weights: Path, encoder: ChatEncoder) -> tuple[str, bool]:
    """The text of a Modelfile beside `weights`, and whether it says how turns are written."""
    turns = turns_of(encoder)
    lines = [f"FROM ./{weights.name}"]
    if turns:
        lines.append(f'TEMPLATE """{turns.in_go()}"""')
    if turns and turns.system:
        lines.append(f'SYSTEM """{turns.system}"""')
    tokenizer: Any = encoder.tokenizer
    ends = tokenizer.convert_ids_to_tokens(sorted(encoder.end_ids))
    lines += [f"PARAMETER stop {json.dumps(token, ensure_ascii=False)}" for token in ends]
    return "\n".join(lines) + "\n", turns is not None


def _conversation(*roles: str) -> list[Message]:
    """A test conversation with unique contents that no template contains."""
    return [Message(role=role, content=f"q{number}q") for number, role in enumerate(roles)]


def _or_none(written: Callable[..., str], *roles: str) -> str | None:
    try:
        return written(*roles)
    except Exception:  # there is no such role in this format
        return None


def _taken_apart(plain: str, answered: str, told: str | None) -> Turns:
    """Derive a format of turns from three rendered conversations. Raises ValueError if contents do not occur once.

    The text between two contents is assigned to the second turn, except what does not precede it elsewhere.
    """
    first, opening = plain.split("q0q")
    _, before_answer, before_next, _ = re.split("q[012]q", answered)
    before_user = _common_end(first, before_next)
    start, system = first.removesuffix(before_user), None
    around = {"user": (before_user, ""), "assistant": (before_answer, before_next.removesuffix(before_user))}
    if told is not None:
        before_system, after_system, _ = re.split("q[01]q", told)
        if not before_system.startswith(start):  # the template starts with a default message that another replaces
            system, start = first.removeprefix(before_system).removesuffix(after_system), ""
        around["system"] = (before_system.removeprefix(start), after_system.removesuffix(before_user))
    return Turns(around, opening, start, system)


def _common_end(one: str, other: str) -> str:
    return next(one[start:] for start in range(len(one) + 1) if other.endswith(one[start:]))
