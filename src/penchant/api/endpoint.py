"""Serve a model at an address."""

from __future__ import annotations

from penchant.api.loading import load
from penchant.progress import Reporter, reporter_of
from penchant.serving.service import BATCH_SIZE, HOST, PORT, open_service
from penchant.training.given import ModelLike, loaded_of

__all__ = ["serve"]


def serve(
    model: ModelLike,
    *,
    host: str = HOST,
    port: int = PORT,
    token: str | None = None,
    batch_size: int = BATCH_SIZE,
    max_length: int | None = None,
    progress: bool | Reporter = True,
) -> None:
    """Serve a model over OpenAI's HTTP API, until Ctrl-C.

    Args:
        model: see `penchant.load`; a loaded model is served as it is.
        host: the address to listen on; any but this machine's own needs a token. port: 0 takes any free port.
        token: 32 or more letters and digits, or "new"; clients send it as their API key.
        batch_size: number of answers generated at a time.
        max_length: the most tokens of a prompt with its answer; None: the model's context length, at most 4096.
        progress: see `penchant.dpo`.

    Raises:
        UserError: a model, setting or port that cannot be used.
    """
    reporter = reporter_of(progress)
    is_loaded = loaded_of(model) is not None
    with open_service(
        lambda: load(model, special_tokens="refuse" if is_loaded else "text", progress=reporter),
        host=host,
        port=port,
        token=token,
        batch_size=batch_size,
        max_length=max_length,
    ) as service:
        for line in service.in_words():
            reporter.say(line)
        service.serve()
