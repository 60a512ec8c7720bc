"""`penchant serve`: a model behind an address that speaks OpenAI's API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from penchant.cli import options

if TYPE_CHECKING:
    from penchant.models.language_model import LanguageModel

__all__ = ["NAME", "command"]

NAME = "serve"


def command(
    model: Annotated[str, typer.Argument(help="A run folder, or any other model that --model takes elsewhere.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on; one that other machines reach needs --token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes any free one.")] = 8000,
    token: Annotated[
        str | None, typer.Option(help="The key that clients must send: 32 or more letters and digits, or 'new'.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Answers written at a time; others wait.")] = 32,
    max_length: Annotated[
        int | None,
        typer.Option(min=2, help="Most tokens of a prompt with its answer.", show_default="the model's, at most 4096"),
    ] = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    chat_template: options.ChatTemplate = None,
) -> None:
    """Serve a model at an address that speaks OpenAI's API: chat, completions, streams, seeds, log-probabilities.

    Requests join those under way. A seed gives the answer that penchant sample gives for it. Ctrl-C stops.

    [bold]Examples[/bold]

        penchant serve runs/first

        penchant serve smollm2-135m --port 9000 --batch-size 64

        penchant serve runs/first --host 0.0.0.0 --token new

        penchant judge samples.jsonl --judge http://127.0.0.1:8000/v1 --judge-model runs/first --output votes.jsonl
    """
    from penchant.cli.console import Reporter
    from penchant.cli.failures import saying_when_stopped
    from penchant.models.opening import open_model
    from penchant.serving import open_service

    reporter = Reporter()

    def load() -> LanguageModel:
        return open_model(
            model, device=device, dtype=dtype, chat_template=chat_template, special_tokens="text", reporter=reporter
        )

    with (
        saying_when_stopped("stopped; nothing is served any longer"),
        open_service(load, host=host, port=port, token=token, batch_size=batch_size, max_length=max_length) as service,
    ):
        where, *more = service.in_words()
        typer.echo(where)
        for line in more:
            reporter.say(line)
        service.serve()
