"""An Ollama Modelfile for a GGUF file: where the weights are, how turns are written, and what ends an answer.

Ollama reads Go templates, not Jinja. A chat template is translated where it writes each turn by itself, between two
texts that depend on the role alone; that is tried out, so no list of templates is needed. Any other is left to Ollama,
which looks into the GGUF file.
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
"""The roles of conversations that must come out as the template writes them."""


@dataclass(frozen=True)
class Turns:
    """around: by role, the texts before and after the content. opening: what the answer follows.

    start: what stands before all turns. system: what the template itself says first where nobody gives a system
    message, or None.
    """

    around: dict[str, tuple[str, str]]
    opening: str
    start: str = ""
    system: str | None = None

    def text(self, messages: Sequence[Message]) -> str:
        """A conversation as Ollama writes it, up to where the answer begins."""
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
    """How the chat template writes turns; None where that is not one turn after another.

    A token that begins every sequence is left out where the reader of the GGUF file puts it there by itself.
    """
    tokenizer: Any = encoder.tokenizer
    begins = tokenizer.bos_token if encloses(tokenizer)[0] else ""

    def written(*roles: str) -> str:
        return encoder.prompt_text(_conversation(*roles)).removeprefix(begins)

    try:
        found = _taken_apart(written("user"), written("user", "assistant", "user"), _or_none(written, "system", "user"))
        tried = [roles for roles in TRIED if "system" in found.around or "system" not in roles]
        holds = all(found.text(_conversation(*roles)) == written(*roles) for roles in tried)
    except Exception:  # a template may refuse any conversation, in words of its own
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
    """A content of its own for every turn, which no template writes of its own accord."""
    return [Message(role=role, content=f"q{number}q") for number, role in enumerate(roles)]


def _or_none(written: Callable[..., str], *roles: str) -> str | None:
    try:
        return written(*roles)
    except Exception:  # there is no such role in this format
        return None


def _taken_apart(plain: str, answered: str, told: str | None) -> Turns:
    """Turns that may explain three conversations. Raises ValueError where contents are not there, or more than once.

    What stands between two contents is before the second, save what does not stand before it elsewhere.
    """
    first, opening = plain.split("q0q")
    _, before_answer, before_next, _ = re.split("q[012]q", answered)
    before_user = _common_end(first, before_next)
    start, system = first.removesuffix(before_user), None
    around = {"user": (before_user, ""), "assistant": (before_answer, before_next.removesuffix(before_user))}
    if told is not None:
        before_system, after_system, _ = re.split("q[01]q", told)
        if not before_system.startswith(start):  # what comes first is a message that only another one replaces
            system, start = first.removeprefix(before_system).removesuffix(after_system), ""
        around["system"] = (before_system.removeprefix(start), after_system.removesuffix(before_user))
    return Turns(around, opening, start, system)


def _common_end(one: str, other: str) -> str:
    return next(one[start:] for start in range(len(one) + 1) if other.endswith(one[start:]))
