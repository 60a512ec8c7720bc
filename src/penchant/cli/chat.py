"""`penchant chat`: talk to a model, alone or beside the model it was trained from."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.cli import options

if TYPE_CHECKING:
    from penchant.models.conversation import Conversation

__all__ = ["NAME", "command"]

NAME = "chat"
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
    from penchant.errors import ConfigError
    from penchant.evaluation.references import find_reference, require_reference
    from penchant.models.opening import open_model

    if reference is not None and not compare:
        raise ConfigError("--reference is only read with --compare; add it, or leave --reference out")
    if compare:
        require_reference(run, reference)
    with Reporter() as reporter:
        policy = open_model(
            run, device=device, dtype=dtype, chat_template=chat_template, special_tokens="text", reporter=reporter
        )
        beside: Any = None
        if compare:
            source = find_reference(run, policy, reference)
            beside = policy if source.is_adapter_off else source.load(reporter.say, same_tokens=False)
    from penchant.models.conversation import Conversation
    from penchant.models.sampler import SamplingParams

    seed = secrets.randbelow(2**31) if seed is None else seed
    talk = Conversation(policy, beside, SamplingParams(temperature, top_p, 0, max_new_tokens, seed))
    _converse(talk)


def _converse(talk: Conversation) -> None:
    from rich.console import Console

    from penchant.cli.chat_shown import show_answer
    from penchant.cli.hints import typed
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
                show_answer(talk, text, console, notes, say)
            except KeyboardInterrupt:
                if not is_terminal:
                    raise
                say("(stopped; this turn is forgotten)")
            except ModelError as error:
                if not is_terminal:
                    raise
                say(typed(str(error)))


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
