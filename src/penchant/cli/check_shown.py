"""What `penchant check` shows: the rows by verdict, their lengths, and some of them as the model reads them."""

from rich.console import Console
from rich.text import Text

from penchant.cli.tables import print_parts
from penchant.report.parts import Line
from penchant.tokens.shown import Part, parts_of
from penchant.training.check_text import check_parts
from penchant.training.checking import CheckReport

__all__ = ["show_report"]

STYLES = {"context": "dim", "scored": "green", "end": "black on green", "left_out": "italic"}


def show_report(report: CheckReport, num_problems: int | None, num_examples: int, ids: bool) -> None:
    """Print the report. num_problems: at most so many of them, or all. ids: show token ids beside the texts."""
    console = Console(highlight=False)
    print_parts(check_parts(report, num_problems=num_problems))
    for item in report.items[:num_examples]:
        print_parts(["", Line(str(item.origin), "heading")])
        for part in parts_of(item, report.encoder):
            _show_part(console, part, ids)


def _show_part(console: Console, part: Part, ids: bool) -> None:
    """One part under its name; what is scored is coloured, or set in [[ ]] where there is no colour."""
    num = len(part.ids)
    mask = {num: "all scored", 0: "not scored"}.get(part.num_scored, f"{part.num_scored} scored")
    line = Text(f"{part.name:>8}  ", style="bold") + Text(f"{num} tokens, {mask}", style="dim")
    console.print(line, soft_wrap=True)
    body, plain = Text(), console.is_terminal or len(part.runs) == 1
    for run in part.runs:
        text = Text.assemble(*((span.text, STYLES[span.kind]) for span in run))
        body += text if plain or run[0].kind == "context" else Text("[[") + text + Text("]]")
    console.print(body, soft_wrap=True)
    if ids:
        console.print(" ".join(map(str, part.ids)), style="dim", soft_wrap=True, markup=False)
