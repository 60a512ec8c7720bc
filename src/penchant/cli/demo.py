"""`penchant demo`: the whole way on the starter model, as a sequence of ordinary commands."""

import shlex
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import typer
import yaml

from penchant.cli.declaring import flag, option
from penchant.errors import ConfigError
from penchant.extras import install, missing

__all__ = ["command", "steps"]

RESUMABLE = ("sample", "dpo")


def steps(output: Path) -> list[tuple[str, list[str]]]:
    """What is done, and by which command: assets/demo.yaml."""
    text = files("penchant").joinpath("assets", "demo.yaml").read_text(encoding="utf-8")
    return [
        (step["title"], [word.format(output=output) for word in shlex.split(step["command"])])
        for step in yaml.safe_load(text)
    ]


def command(
    output: Path = option("Folder for everything that is written.", "--output -o", default=Path("runs/demo")),
    dry_run: bool = flag("--dry-run", "Print the commands without running them."),
) -> None:
    """Run the whole workflow on the starter model in a few minutes: sample, judge, train, compare.

    Every step is one ordinary command, printed before it runs. Finished steps are not repeated.

    [bold]Example[/bold]
        penchant demo --output runs/demo
    """
    if not dry_run and (absent := missing("sentiment")):  # which a later step needs
        raise ConfigError(f"the demo's judge needs {', '.join(absent)}, which is not installed; {install('sentiment')}")
    began = time.monotonic()
    for number, (title, arguments) in enumerate(steps(output), start=1):
        typer.secho(f"\n# {title}", bold=True)
        typer.echo(f"$ penchant {shlex.join(arguments)}")
        if dry_run:
            continue
        done = output / f".step-{number}-done"
        if done.exists():
            typer.echo("(done already)")
            continue
        half_done = arguments[0] in RESUMABLE and Path(arguments[-1]).exists()
        command_line = [sys.executable, "-m", "penchant", *arguments, *(["--resume"] if half_done else [])]
        code = subprocess.run(command_line, check=False).returncode
        if code:
            raise typer.Exit(code)
        output.mkdir(parents=True, exist_ok=True)
        done.touch()
    if not dry_run:
        typer.echo(f"\n{time.monotonic() - began:.0f} s in all; open {output / 'run' / 'report.html'}")
