"""Write the pages of docs/ that the code knows best: the commands' help, the settings, and the public rooms.

Run `make docs` after changing a command or a setting; a test compares the pages with what this writes.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

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
    """Every setting with its default, the values it may take and its meaning."""
    DPOConfig, SFTConfig, RewardConfig, RLHFConfig, FrontierConfig, SweepConfig, ProjectConfig = schemas()
    training = """# Settings

Written by `make docs` from `penchant.training.config`. Every setting can be given in a YAML file (`--config`), in the
environment (`PENCHANT_OPTIMISER__EPOCHS=2`), by `--set optimiser.epochs=2`, or by a flag where a command has one; each
of these beats the ones before it. A key that does not exist is refused, with the nearest one that does.

In the tables, `null` is nothing: the setting is left out, or written as `null` in YAML.
"""
    studies = """## Studies

What a file of `penchant frontier` or `penchant sweep` holds ([frontier.md](frontier.md)), from
`penchant.studies.settings`.
"""
    project = """## project.yaml

How the people of a project are asked ([annotate.md](annotate.md)), from `penchant.feedback.project`.
"""
    return "\n".join(
        [
            training,
            f"## penchant dpo\n\n{_table(DPOConfig)}",
            f"## penchant sft\n\n{_table(SFTConfig, left_out=NOT_READ_BY_SFT)}",
            f"## penchant reward\n\n{_table(RewardConfig, left_out=NOT_READ_BY_REWARD)}",
            f"## penchant rlhf\n\n{_table(RLHFConfig, left_out=NOT_READ_BY_RLHF)}",
            f"{studies}\n### penchant frontier\n\n{_table(FrontierConfig)}",
            f"### penchant sweep\n\n{_table(SweepConfig)}",
            f"{project}\n{_table(ProjectConfig)}",
        ]
    )


def schemas() -> tuple[type[BaseModel], ...]:
    """What can be set: of `penchant dpo`, `sft`, `reward` and `rlhf`, of studies, and of a project."""
    from penchant.feedback.project import ProjectConfig
    from penchant.online.config import RLHFConfig
    from penchant.studies import FrontierConfig, SweepConfig
    from penchant.training.config import DPOConfig, RewardConfig, SFTConfig

    return DPOConfig, SFTConfig, RewardConfig, RLHFConfig, FrontierConfig, SweepConfig, ProjectConfig


NOT_READ_BY_SFT = ("model.reference", "data.max_prompt_length")
NOT_READ_BY_REWARD = ("model.reference", "save.num_samples", "save.sample_tokens")
NOT_READ_BY_RLHF = ("data.pairing", "data.min_gap")
"""They refuse them."""


def _table(schema: type[BaseModel], left_out: Sequence[str] = ()) -> str:
    head = "| setting | default | allowed | meaning |\n|---|---|---|---|\n"
    rows = [
        f"| `{s.name}` | {s.default} | {s.allowed} | {s.meaning} |" for s in settings(schema) if s.name not in left_out
    ]
    return head + "\n".join(rows) + "\n"


class Setting(NamedTuple):
    """A line of a table of settings, in words."""

    name: str
    default: str
    allowed: str
    meaning: str


def settings(schema: type[BaseModel], prefix: str = "", instance: BaseModel | None = None) -> Iterator[Setting]:
    """The settings of a schema and of its sections. instance: a section whose defaults are not those of its fields."""
    from penchant.training.settings import REQUIRED, settings_of

    properties = schema.model_json_schema()["properties"]
    for name, field in settings_of(schema).items():
        default = getattr(instance, name) if instance is not None else field.get_default(call_default_factory=True)
        section = next(
            (t for t in [field.annotation, *getattr(field.annotation, "__args__", ())] if _is_section(t)), None
        )
        if section is None or default is None:
            shown = "required" if prefix + name in REQUIRED or field.is_required() else _shown(default)
            allowed = "a section or `null`" if section else _allowed(properties[name])
            meaning = field.description or (section.__doc__ or "" if section else "")
            yield Setting(f"{prefix}{name}", shown, allowed, meaning.strip().removesuffix("."))
        if section is not None:
            yield from settings(section, f"{prefix}{name}.", default if isinstance(default, BaseModel) else None)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _shown(value: Any) -> str:
    """A default as it is written in YAML."""
    written = {None: "null", (): "[]", "": '""', True: "true", False: "false"}
    value = list(value) if isinstance(value, tuple) and value else value
    return f"`{written[value] if isinstance(value, bool) or value in (None, (), '') else value}`"


def _allowed(schema: Mapping[str, Any]) -> str:
    """The values of a field in words, from its JSON schema."""
    if "anyOf" in schema:
        return " or ".join(_allowed(part) for part in schema["anyOf"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kinds = {"null": "`null`", "boolean": "`true`, `false`", "string": "text", "object": "names and values"}
    if schema["type"] == "array":
        of_numbers = schema.get("items", {}).get("type") in ("number", "integer")
        return "a list of numbers" if of_numbers else "a list of texts"
    if schema["type"] in kinds:
        return kinds[schema["type"]]
    kind = "an integer" if schema["type"] == "integer" else "a number"
    bounds = " and ".join(f"{words} {_bound(schema[key])}" for key, words in BOUNDS.items() if key in schema)
    return f"{kind} {bounds}".strip()


BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


def _bound(value: float) -> str:
    return "2**63" if value == 2**63 else f"{value:g}"


def rooms_page() -> str:
    """The public names of every room that `penchant.__doc__` calls public, each with what it says of itself."""
    import penchant

    parts = [
        "# The public rooms\n\nWritten by `make docs` from the code. What is used most is in `penchant` itself "
        "([reference.md](reference.md)); these packages list\nnames of their own, and `help(penchant.data.load_pairs)` "
        "says the rest of one.\n"
    ]
    for room in public_rooms(str(penchant.__doc__)):
        module = import_module(f"penchant.{room}")
        rows = [f"| `{name}` | {_said_of(getattr(module, name))} |" for name in sorted(module.__all__, key=str.lower)]
        about = str(module.__doc__).split("\n\n")[0].replace("\n", " ")
        parts.append("\n".join([f"## penchant.{room}\n\n{about}\n\n| name | what it is |\n|---|---|", *rows, ""]))
    return "\n".join(parts)


def public_rooms(text: str) -> list[str]:
    """The packages that the docstring of `penchant` names as having public names of their own."""
    named = text.partition("packages that list their own public")[2].partition("\n\n")[0]
    return [name.removeprefix("penchant.") for name in re.findall(r"`([\w.]+)`", named)]


def _said_of(value: Any) -> str:
    """The first sentence of its docstring; of a constant its kind, as it has none of its own."""
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return f"constant: {type(value).__name__}" if isinstance(value, str | float | Collection) else "type"
    first = (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
    return re.split(r"(?<=\.) ", first)[0].removesuffix(".")


PAGES = {"commands.md": commands_page, "settings.md": settings_page, "rooms.md": rooms_page}


def main() -> None:
    """Write the pages."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
