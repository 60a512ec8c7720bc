"""`penchant sft`: next-token training on demonstrations or plain text."""

from penchant.cli import options
from penchant.cli.declaring import option


def command(
    *,
    data: list[str] | None = options.TEXTS,
    place: options.Place,
    learning_rate: float | None = option("Peak learning rate.", shown="2e-5; with LoRA 2e-4"),
    epochs: int | None = options.EPOCHS,
    batch_size: int | None = option("Texts per optimiser step.", shown="16"),
    max_rows: int | None = option("Use only this many rows.", shown="all"),
    subset: str | None = options.SUBSET,
    max_length: int | None = option("Maximum tokens of a text; longer plain text is split.", shown="1024"),
    start: options.Start,
    rows: options.Rows,
    run: options.SharedRun,
) -> None:
    """Train a model to predict the next token: of the assistant's turns in conversations, or of plain text.

    [bold]Examples[/bold]
        penchant sft --model smollm2-135m --data demonstrations.jsonl --output runs/sft
        penchant sft -m ./base --chat-template plain -d stories.txt.gz -o runs/stories --max-length 512
    """
    given = locals()
    from penchant.cli.training import begin
    from penchant.training.config import SFTConfig

    with begin(SFTConfig, given) as (checked, reporter):
        import penchant

        reporter.say(*penchant.sft(config=checked, resume=run.resume, progress=reporter).in_words())
