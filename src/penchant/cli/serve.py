"""`penchant serve`: a model behind an address that speaks OpenAI's API."""

from functools import partial

import typer

from penchant.cli import options
from penchant.cli.declaring import argument, option


def command(
    *,
    model: str = argument("A run folder, or any other model that --model accepts."),
    host: str = option("Address to listen on; if other machines reach it, --token is needed.", default="127.0.0.1"),
    port: int = option("The port to listen on; 0 takes any free one.", default=8000, min=0, max=65535),
    token: str | None = option("The API key clients must send: 32 or more letters and digits, or 'new'."),
    batch_size: int = option("Maximum answers generated at once; others wait.", default=32, min=1),
    max_length: int | None = option(
        "Maximum tokens of a prompt plus its answer.", shown="the model's, at most 4096", min=2
    ),
    loading: options.Loading,
) -> None:
    """Serve a model by an OpenAI-compatible API: chat, completions, streaming, seeds, log-probabilities.

    New requests are batched with running ones. A seed gives the same answer as in penchant sample. Ctrl-C stops.

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
    load = partial(open_model, model, **vars(loading), special_tokens="text", reporter=reporter)
    with (
        saying_when_stopped("stopped serving"),
        open_service(load, host=host, port=port, token=token, batch_size=batch_size, max_length=max_length) as service,
    ):
        where, *more = service.in_words()
        typer.echo(where)
        reporter.say(*more)
        service.serve()
