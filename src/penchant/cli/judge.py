"""`penchant judge`: a stand-in for a person answers comparisons."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "judge"


def command(
    comparisons: Annotated[Path, typer.Argument(help="Comparisons, as `penchant sample` writes them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The answered comparisons, JSON lines.")],
    judge: Annotated[
        str, typer.Option(help="positivity, or module:function of your own (which runs its code).")
    ] = "positivity",
) -> None:
    """Answer comparisons with a scoring function that stands in for a person.

    The default, positivity, prefers the response with the sunnier words, as the controlled experiment of the DPO paper
    does. It is for trying things out: nobody was asked. Equal scores are ties, which training leaves out.

    [bold]Example[/bold]

        penchant judge samples.jsonl --judge positivity --output votes.jsonl
    """
    from penchant.cli.console import Reporter
    from penchant.data import Comparison, read_rows
    from penchant.errors import ConfigError, DataError, OutputError
    from penchant.evaluation.judges import load_judge, prefer

    try:
        scorer = load_judge(judge)
    except ValueError as error:
        raise ConfigError(f"--judge: {error}") from error
    if output.exists():
        raise OutputError(f"{output}: exists already; choose another --output")
    counts: Counter[str] = Counter()
    lines = []
    for number, row in read_rows(comparisons):
        try:
            comparison = Comparison.model_validate(row)
        except ValueError as error:
            first = str(error).splitlines()[1:2]
            raise DataError(
                f"{comparisons}:{number}: not a comparison ({' '.join(first) or error}); give a file that "
                "`penchant sample` wrote"
            ) from error
        outcome = prefer(scorer, comparison.prompt[-1].content, comparison.a.text, comparison.b.text)
        counts[outcome] += 1
        answered = comparison.model_copy(update={"outcome": outcome, "annotator": f"stand-in:{scorer.name}"})
        lines.append(json.dumps(answered.model_dump(mode="json", exclude_none=True), ensure_ascii=False) + "\n")
    output.parent.mkdir(parents=True, exist_ok=True)
    scratch = output.with_name(f".{output.name}.writing")
    scratch.write_text("".join(lines), encoding="utf-8")
    scratch.replace(output)
    with Reporter() as reporter:
        shown = ", ".join(f"{counts[name]} {name}" for name in ("a", "b", "tie") if counts[name])
        reporter.say(f"{sum(counts.values())} comparisons answered by the stand-in '{scorer.name}': {shown}")
        reporter.say(f"votes   {output}")
