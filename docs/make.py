"""Write the pages of docs/ that the code knows best: the commands' help and the table of settings.

Run `make docs` after changing a command or a setting; a test compares the pages with what this writes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from typer.testing import CliRunner

DOCS = Path(__file__).parent
WIDTH = 100


def commands_page() -> str:
    """Every command's help, as the command prints it."""
    from penchant.cli.main import app

    names = sorted(command.name for command in app.registered_commands if command.name)
    parts = ["# Commands\n\nWritten by `make docs` from the commands themselves.\n"]
    groups = {group.name: group.typer_instance for group in app.registered_groups}
    parts_of = [
        [name, part.name or part.callback.__name__]
        for name, sub in sorted(groups.items())
        for part in sub.registered_commands
    ]
    for words in ([], *([name] for name in sorted([*names, *filter(None, groups)])), *parts_of):
        result = CliRunner().invoke(
            app, [*words, "--help"], env={"COLUMNS": str(WIDTH), "TERM": "dumb", "NO_COLOR": "1"}
        )
        assert result.exit_code == 0, result.output
        text = "\n".join(
            line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", result.output).strip("\n").splitlines()
        )
        parts.append(f"## {' '.join(['penchant', *words])}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def settings_page() -> str:
    """Every setting of dpo and sft with its default."""
    from penchant.training.config import DPOConfig, SFTConfig

    head = """# Settings

Written by `make docs` from `penchant.training.config`. Every setting can be given in a YAML file (`--config`), in the
environment (`PENCHANT_OPTIMISER__EPOCHS=2`), by `--set optimiser.epochs=2`, or by a flag where a command has one; each
of these beats the ones before it. A key that does not exist is refused, with the nearest one that does.
"""
    tables = [
        f"## penchant {name}\n\n| setting | default | meaning |\n|---|---|---|\n" + "\n".join(_rows(schema)) + "\n"
        for name, schema in (("dpo", DPOConfig), ("sft", SFTConfig))
    ]
    return "\n".join([head, *tables])


def _rows(schema: type[BaseModel], prefix: str = "", instance: Any = None) -> list[str]:
    rows = []
    for name, field in schema.model_fields.items():
        default = getattr(instance, name) if instance is not None else field.get_default(call_default_factory=True)
        section = next(
            (t for t in [field.annotation, *getattr(field.annotation, "__args__", ())] if _is_section(t)), None
        )
        if section is None:
            shown = "required" if field.is_required() and instance is None else f"`{default}`"
            rows.append(f"| `{prefix}{name}` | {shown} | {field.description or ''} |")
        else:
            if default is None:
                rows.append(f"| `{prefix}{name}` | `None` | {(section.__doc__ or '').strip()} |")
            rows += _rows(section, f"{prefix}{name}.", default if isinstance(default, BaseModel) else None)
    return rows


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


PAGES = {"commands.md": commands_page, "settings.md": settings_page}


def main() -> None:
    """Write the pages."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
