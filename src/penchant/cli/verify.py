"""`penchant verify`: is a run still what its ledger says."""

import json
from pathlib import Path

import typer

from penchant.cli import options
from penchant.cli.declaring import argument


def command(
    run: Path = argument("A run folder or an exported model."),
    as_json: bool = options.JSON,
) -> None:
    """Check the files of a run against what it recorded: model, base model, data, metrics, checkpoints, report.

    Prints one line for each: same, differs, or unknown if there is nothing to compare with. Exit code 0 if nothing
    differs, 1 if something does.

    [bold]Examples[/bold]
        penchant verify runs/first
        penchant verify runs/first --json | jq .findings
    """
    from dataclasses import asdict, replace

    import penchant
    from penchant.cli.hints import typed
    from penchant.wording import sanitise

    findings = [replace(finding, text=typed(finding.text)) for finding in penchant.verify(run)]
    differs = any(finding.status == "differs" for finding in findings)
    if as_json:
        result = {"run": str(run), "same": not differs, "findings": [asdict(finding) for finding in findings]}
        typer.echo(json.dumps(result, indent=2, ensure_ascii=False))
    else:
        width = max(len(finding.what) for finding in findings)
        for finding in findings:
            typer.echo(sanitise(f"{finding.status:<8} {finding.what:<{width}}  {finding.text}"))
    if differs:
        raise typer.Exit(1)
