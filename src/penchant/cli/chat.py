"""`penchant chat`: talk to a model, alone or beside the model it was trained from."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.cli import options

if TYPE_CHECKING:
    from rich.console import Console

    from penchant.data import Message
    from penchant.models.language_model import LanguageModel
    from penchant.models.sampler import SamplingParams

__all__ = ["NAME", "Conversation", "command"]

NAME = "chat"
SIDE_BY_SIDE = 80
"""Columns from which two answers stand beside each other."""
HELP = "/reset forgets the conversation, /quit (or Ctrl-D) leaves, /help shows this; Ctrl-C stops an answer"


def command(
    run: Annotated[str, typer.Argument(help="A run folder, or any other model that --model takes elsewhere.")],
    compare: Annotated[
        bool, typer.Option("--compare", help="Also show the reference's answer; the conversation follows the run's.")
    ] = False,
    reference: Annotated[
        str | None, typer.Option(help="The reference, where the run does not name it.", show_default="the run's")
    ] = None,
    temperature: options.Temperature = 0.7,
    top_p: options.TopP = 0.9,
    max_new_tokens: options.MaxNewTokens = 256,
    seed: Annotated[
        int | None, typer.Option(help="The same seed gives the same answers.", show_default="another each time")
    ] = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    chat_template: options.ChatTemplate = None,
) -> None:
    """Talk to a model in the terminal; what comes by standard input is read as one turn a line.

    [bold]Examples[/bold]

        penchant chat runs/first

        penchant chat runs/first --compare --temperature 0

        echo "Tell me about turtles." | penchant chat smollm2-135m --seed 1
    """
    import secrets

    from penchant.cli.console import Reporter
    from penchant.cli.loading import load
    from penchant.errors import ConfigError
    from penchant.evaluation.references import find_reference, require_reference

    if reference is not None and not compare:
        raise ConfigError("--reference is only read with --compare; add it, or leave --reference out")
    if compare:
        require_reference(run, reference)
    with Reporter() as reporter:
        policy = load(run, device, dtype, chat_template, reporter, special_tokens="text")
        beside: Any = None
        if compare:
            source = find_reference(run, policy, reference)
            beside = policy if source.is_adapter_off else source.load(reporter.say, same_tokens=False)
    from penchant.models.sampler import SamplingParams

    seed = secrets.randbelow(2**31) if seed is None else seed
    talk = Conversation(policy, beside, SamplingParams(temperature, top_p, 0, max_new_tokens, seed))
    _converse(talk)


@dataclass
class Conversation:
    """What was said so far, and both who answer. reference: None, or the policy itself for its adapter off."""

    policy: LanguageModel
    reference: LanguageModel | None
    params: SamplingParams
    messages: list[Message] = field(default_factory=list)
    num_turns: int = 0

    def reply(
        self, text: str, say: Callable[[str], None], on_piece: Callable[[str], None] = lambda piece: None
    ) -> dict[str, str]:
        """The answers to what the user says now, by who gives them. The conversation goes on with the policy's.

        on_piece: called with each piece of the policy's answer as it is written. Turns that the context has no room
        for are forgotten, oldest first; `say` tells how many. Raises ModelError where what was said alone is too long,
        or the chat template refuses it; it is then as if it had not been said.
        """
        from penchant.data import Message

        asked = self._within_context([*self.messages, Message(role="user", content=text)], say)
        answers = {"policy": self._answer(self.policy, asked, on_piece)}
        if self.reference is not None:
            with self.policy.as_reference() if self.reference is self.policy else nullcontext():
                answers["reference"] = self._answer(self.reference, asked, lambda piece: None)
        self.messages = [*asked, Message(role="assistant", content=answers["policy"])]
        self.num_turns += 1
        return answers

    def reset(self) -> None:
        """Forget what was said."""
        self.messages.clear()

    def _answer(self, model: LanguageModel, messages: list[Message], on_piece: Callable[[str], None]) -> str:
        from penchant.models.requests import Request
        from penchant.models.streaming import stream

        request = Request(tuple(model.encoder.encode_prompt(messages)), f"turn {self.num_turns}")
        pieces = []
        for _, piece in stream(model, request, self.params):
            pieces.append(piece)
            on_piece(piece)
        return "".join(pieces).strip()

    def _within_context(self, messages: list[Message], say: Callable[[str], None]) -> list[Message]:
        from penchant.errors import ModelError

        models = [m for m in (self.policy, self.reference) if m is not None]
        num_forgotten = 0
        while any(self._room(model, messages) < 0 for model in models):
            if len(messages) == 1:
                raise ModelError(
                    f"that is {-min(self._room(model, messages) for model in models)} tokens too long for the model's "
                    "context; say less, or lower --max-new-tokens"
                )
            messages = messages[2:]  # a question and its answer
            num_forgotten += 1
        if num_forgotten:
            turns = "turn is" if num_forgotten == 1 else f"{num_forgotten} turns are"
            say(f"(the context is full: the oldest {turns} forgotten)")
        return messages

    def _room(self, model: LanguageModel, messages: list[Message]) -> int:
        """Tokens left when the longest answer has been given."""
        from penchant.errors import ModelError
        from penchant.tokens import BoundaryError

        try:
            num = len(model.encoder.encode_prompt(messages))
        except BoundaryError as error:
            raise ModelError(f"{error}; pass another --chat-template") from error
        return model.context_length - num - self.params.max_new_tokens


def _converse(talk: Conversation) -> None:
    from rich.console import Console

    from penchant.errors import ModelError
    from penchant.wording import sanitise

    console, notes = Console(highlight=False), Console(stderr=True, highlight=False)
    is_terminal = sys.stdin.isatty()
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # bytes that are no text become U+FFFD

    def say(text: str) -> None:
        notes.print(sanitise(text), style="dim", markup=False, soft_wrap=True)

    if is_terminal:
        say(HELP)
    while (text := _next_line(is_terminal)) is not None:
        if text in ("/quit", "/exit"):
            return
        if text == "/reset":
            talk.reset()
            say("(the conversation is forgotten)")
        elif text.startswith("/"):
            say(HELP if text == "/help" else f"there is no command {text.split()[0]}; {HELP}")
        elif text:
            try:
                _answer(talk, text, console, notes, say)
            except KeyboardInterrupt:
                if not is_terminal:
                    raise
                say("(stopped; this turn is forgotten)")
            except ModelError as error:
                if not is_terminal:
                    raise
                say(str(error))


def _answer(talk: Conversation, text: str, console: Console, notes: Console, say: Callable[[str], None]) -> None:
    """Show the model's answer while it is written; two answers when both are there."""
    is_watched = sys.stdin.isatty() and notes.is_terminal
    with notes.status("thinking") if is_watched else nullcontext() as status:
        if talk.reference is not None:
            answers = talk.reply(text, say)
        else:
            live = _LiveAnswer(console, status.stop if status else lambda: None)
            try:
                talk.reply(text, say, live.add)
            except BaseException:
                if live.is_begun:
                    live.end()
                raise
            live.end()
            return
    _show(console, answers)


def _next_line(is_terminal: bool) -> str | None:
    """What the user says next, without the blanks around it; None when they leave."""
    try:
        if is_terminal:
            import readline  # noqa: F401  # line editing and history for input()

            return input("you> ").strip()
        line = sys.stdin.readline()
        return line.strip() if line else None
    except (EOFError, KeyboardInterrupt):
        print(file=sys.stderr)
        return None


class _LiveAnswer:
    """An answer on the screen while it is written, without the blanks around it. begin: called before it is there."""

    def __init__(self, console: Console, begin: Callable[[], None]) -> None:
        self.console, self.begin = console, begin
        self.is_begun, self.blanks = False, ""

    def add(self, piece: str) -> None:
        from penchant.wording import sanitise

        text = self.blanks + piece if self.is_begun else piece.lstrip()
        shown = text.rstrip()
        self.blanks = text[len(shown) :]
        if shown:
            if not self.is_begun:
                self.is_begun = True
                self.begin()
            self.console.out(sanitise(shown), end="", highlight=False)

    def end(self) -> None:
        """Close the line; blanks at the end are left out."""
        self.console.out("", highlight=False)


def _show(console: Console, answers: dict[str, str]) -> None:
    """Both answers, beside each other where there is room."""
    from rich.table import Table
    from rich.text import Text

    from penchant.wording import sanitise

    safe = {who: Text(sanitise(text)) for who, text in answers.items()}
    if console.is_terminal and console.width >= SIDE_BY_SIDE:
        table = Table(*safe, expand=True, show_edge=False)
        for column in table.columns:
            column.ratio = 1
        table.add_row(*safe.values())
        console.print(table)
    else:
        for who, text in safe.items():
            console.print(Text(f"{who}: ", style="bold") + text, soft_wrap=not console.is_terminal)
