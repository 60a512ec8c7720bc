"""`penchant chat`: talk to a model, alone or beside the model it was trained from."""

import io
import sys
from typing import TYPE_CHECKING

from penchant.cli import options
from penchant.cli.declaring import argument, flag, option

if TYPE_CHECKING:
    from penchant.models.conversation import Conversation

HELP = "/reset forgets the conversation, /quit (or Ctrl-D) leaves, /help shows this; Ctrl-C stops an answer"


def command(
    *,
    run: str = argument("A run folder, or any other model that --model accepts."),
    compare: bool = flag("--compare", "Also show the reference's answer; the conversation continues with the run's."),
    reference: str | None = option("The reference model.", shown="the run's"),
    temperature: float = option("Sampling temperature; 0 is greedy decoding.", "--temperature -t", default=0.7),
    top_p: float = option("Nucleus sampling: total probability of the tokens kept; 1: all.", default=0.9),
    max_new_tokens: int = option("Maximum tokens per response.", default=256),
    seed: int | None = option("The same seed gives the same answers.", shown="random"),
    loading: options.Loading,
) -> None:
    """Talk to a model in the terminal; piped standard input is read as one turn per line.

    [bold]Examples[/bold]
        penchant chat runs/first
        penchant chat runs/first --compare --temperature 0
        echo "Tell me about turtles." | penchant chat smollm2-135m --seed 1
    """
    import secrets

    from penchant.cli.console import Reporter
    from penchant.evaluation.talking import open_conversation

    sampling = {"temperature": temperature, "top_p": top_p, "max_new_tokens": max_new_tokens}
    seed = secrets.randbelow(2**31) if seed is None else seed
    with Reporter() as reporter:
        how = vars(loading) | sampling | {"compare": compare, "reference": reference, "seed": seed}
        talk = open_conversation(run, **how, reporter=reporter)
    _converse(talk)


def _converse(talk: "Conversation") -> None:
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
