"""Read YAML like `yaml.safe_load`, with a single kind of error that has the reason and the line.

A duplicate key in a mapping is refused, because the intended value is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from penchant.errors import ConfigError
from penchant.reading import os_reason, read_text
from penchant.wording import one_line, reason_of

__all__ = ["StrictYamlError", "line_of", "read_settings", "strict_load"]

STRAY = (ValueError, OverflowError, TypeError, LookupError, AttributeError)
"""Errors besides the library's own: those of int(), float(), date(), chr() and of unusual tags."""


class StrictYamlError(Exception):
    """problem, fix: what is wrong and what to do, in words. line: where, from 1; None if unknown."""

    def __init__(self, problem: str, fix: str, line: int | None = None) -> None:
        super().__init__(f"{problem}; {fix}")
        self.problem = problem
        self.fix = fix
        self.line = line

    @property
    def where(self) -> str:
        """`:3`, to append to a file name, or empty if the line is unknown."""
        return f":{self.line}" if self.line else ""


class _StrictLoader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"the key '{one_line(key.value, 80)}' appears twice"
                    raise StrictYamlError(problem, "keep one of them", key.start_mark.line + 1)
                seen.add(key.value)
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge keys by `<<`, keeping only the last of each, as nested merges could grow without bound."""
        super().flatten_mapping(node)
        last = {_name_of(key): (key, value) for key, value in node.value}
        node.value = list(last.values())

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except STRAY as error:
            raise _not_yaml(reason_of(error), node.start_mark) from error


def _not_yaml(reason: str, mark: yaml.Mark | None) -> StrictYamlError:
    return StrictYamlError(
        f"not YAML ({reason})", "correct it, or put the value in quotes", mark.line + 1 if mark else None
    )


def _name_of(key: yaml.Node) -> object:
    return (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key)


def strict_load(text: str) -> Any:
    """Parse the text. Raises StrictYamlError."""
    try:
        return yaml.load(text, Loader=_StrictLoader)  # a SafeLoader: it builds plain values only
    except RecursionError as error:
        raise _not_yaml("it is nested too deeply", None) from error
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error.problem or reason_of(error), error.problem_mark or error.context_mark) from error
    except (yaml.YAMLError, *STRAY) as error:
        raise _not_yaml(reason_of(error), None) from error


def line_of(text: str, path: Sequence[object]) -> int | None:
    """The line, from 1, of the value at this path of keys and indices, or of the longest existing prefix.

    Example:
        >>> line_of("seeds: [0]\\ngrid:\\n  beta: [1]\\n  rate: [2]\\n", ("grid", "rate"))
        4
    """
    try:
        node, line = yaml.compose(text, Loader=_StrictLoader), None
    except (yaml.YAMLError, StrictYamlError, *STRAY):
        return None
    for part in path:
        found = None
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if getattr(pair[0], "value", None) == str(part)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = (node.value[part], node.value[part])
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def read_settings(file: Path, *, expected: str, unreadable: str) -> dict[str, Any]:
    """Read the mapping in a settings file; empty for an empty file.

    expected, unreadable: words for the expected content, and for what to do if it is unreadable. Raises ConfigError.
    """
    try:
        content = strict_load(read_text(file))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({os_reason(error)}); {unreadable}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8; save the file as UTF-8") from error
    except StrictYamlError as error:
        raise ConfigError(f"{file}{error.where}: {error}") from error
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise ConfigError(f"{file}: expected {expected}, got {type(content).__name__}")
    return content
