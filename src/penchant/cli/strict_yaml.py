"""YAML as `yaml.safe_load` reads it, but a key that stands twice in one mapping is refused: which one was meant?"""

from __future__ import annotations

from typing import Any

import yaml

__all__ = ["DuplicateKeyError", "strict_load"]


class DuplicateKeyError(yaml.MarkedYAMLError):
    """key: the name that stands there twice. line: where it does so again, from 1."""

    def __init__(self, key: str, mark: yaml.Mark) -> None:
        super().__init__(problem=f"the key '{key}' is there twice", problem_mark=mark)
        self.key = key
        self.line = mark.line + 1


class _StrictLoader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise DuplicateKeyError(key.value, key.start_mark)
                seen.add(key.value)
        return node


def strict_load(text: str) -> Any:
    """The value that the text holds. Raises yaml.YAMLError, of which DuplicateKeyError is one."""
    return yaml.load(text, Loader=_StrictLoader)  # a SafeLoader: it builds plain values only
