"""Detect chat templates that insert the texts of messages without inspecting them.

The output of such a template for one conversation determines that for every other of the same shape, so it is rendered
only once per shape. A template's syntax decides: texts may only be joined, written, trimmed and tested for presence.
For any other template nothing is concluded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import jinja2
from jinja2 import nodes

__all__ = ["writes_texts_unseen"]

Kind = Literal["messages", "message", "text", "other"]
"""The possible values of an expression: all messages, one, (part of) a text, or something independent of texts."""

KEYS = frozenset(
    ("role", "content", "tool_calls", "reasoning_content", "thinking", "reasoning", "name", "tool_call_id")
)
TESTS = frozenset(("defined", "undefined", "none", "string", "mapping", "iterable", "sequence", "number", "boolean"))
NEIGHBOURS = frozenset(("previtem", "nextitem"))
FUNCTIONS = frozenset(("raise_exception", "namespace", "strftime_now", "range"))
MOST_PASSES = 8


def writes_texts_unseen(source: str) -> bool:
    """Whether the template only inserts texts, stripped, so that its output depends on them in no other way."""
    try:
        tree = jinja2.Environment(extensions=["jinja2.ext.loopcontrols"]).parse(source)
        reader = _Reader()
        for _ in range(MOST_PASSES):  # until the possible values of all names are known
            before = dict(reader.names)
            reader.all_of(tree.body)
            if reader.names == before:
                return True
    except (jinja2.TemplateError, _Seen, RecursionError):
        pass
    return False


class _Seen(Exception):
    """The template may inspect a text here."""


class _Reader:
    """Traverses a template's statements. names: the possible values of each variable over all assignments."""

    def __init__(self) -> None:
        self.names: dict[str, Kind] = {"messages": "messages"}

    def all_of(self, body: Iterable[nodes.Node]) -> None:
        for node in body:
            self._statement(node)

    def _statement(self, node: nodes.Node) -> None:
        match node:
            case nodes.Output():
                for one in node.nodes:
                    self._require(one, "text", "other")
            case nodes.If():
                self._require(node.test, "text", "other")
                for body in (node.body, node.elif_, node.else_):
                    self.all_of(body)
            case nodes.For(target=nodes.Name(name=name)) if not node.recursive:
                self._bind(name, "message" if self._require(node.iter, "messages", "other") == "messages" else "other")
                if node.test is not None:
                    self._require(node.test, "text", "other")
                self.all_of([*node.body, *node.else_])
            case nodes.Assign(target=nodes.Name(name=name)):
                self._bind(name, self._kind(node.node))
            case nodes.Assign(target=nodes.NSRef()):
                self._require(node.node, "other")
            case nodes.Break() | nodes.Continue():
                pass
            case _:
                raise _Seen

    def _bind(self, name: str, kind: Kind) -> None:
        known = self.names.setdefault(name, kind)
        if known != kind:
            if {known, kind} != {"text", "other"}:
                raise _Seen
            self.names[name] = "text"

    def _require(self, node: nodes.Node | None, *kinds: Kind) -> Kind:
        kind = self._kind(node)
        if kind not in kinds:
            raise _Seen
        return kind

    def _kind(self, node: nodes.Node | None) -> Kind:
        if node is None:
            return "other"
        reads = _EXPRESSIONS.get(type(node))
        if reads is not None:
            return reads(self, node)
        if isinstance(node, nodes.Literal | nodes.BinExpr | nodes.UnaryExpr | nodes.Slice | nodes.Pair | nodes.Keyword):
            for one in node.iter_child_nodes():
                self._require(one, "other")
            return "other"
        raise _Seen

    def _name(self, node: nodes.Name) -> Kind:
        return self.names.get(node.name, "other")

    def _joined(self, node: Any) -> Kind:
        parts = node.nodes if isinstance(node, nodes.Concat) else [node.left, node.right]
        kinds = [self._require(one, "text", "other") for one in parts]
        return "text" if "text" in kinds else "other"

    def _not(self, node: nodes.Not) -> Kind:
        self._require(node.node, "text", "other")  # whether a text is there is part of the shape
        return "other"

    def _choice(self, node: nodes.CondExpr) -> Kind:
        self._require(node.test, "text", "other")
        kinds = {self._kind(node.expr1), self._kind(node.expr2)}
        if len(kinds) == 1:
            return kinds.pop()
        if kinds != {"text", "other"}:
            raise _Seen
        return "text"

    def _part(self, node: nodes.Getitem | nodes.Getattr) -> Kind:
        base = self._kind(node.node)
        key: Any = node.attr if isinstance(node, nodes.Getattr) else None
        if isinstance(node, nodes.Getitem):
            self._require(node.arg, "other")
            key = node.arg.value if isinstance(node.arg, nodes.Const) else None
        if base == "messages" and isinstance(node, nodes.Getitem):
            return "messages" if isinstance(node.arg, nodes.Slice) else "message"
        if base == "message" and key in KEYS:
            return "text" if key == "content" else "other"
        if base == "other" and (key is not None or isinstance(getattr(node, "arg", None), nodes.Slice)):
            return "message" if key in NEIGHBOURS else "other"
        raise _Seen

    def _filter(self, node: nodes.Filter) -> Kind:
        base = self._kind(node.node)
        if base == "text" and node.name == "trim" and not (node.args or node.kwargs):
            return "text"
        if base == "messages" and node.name in ("length", "count"):
            return "other"
        if node.name == "random":
            raise _Seen
        return self._given_others(node, base)

    def _test(self, node: nodes.Test) -> Kind:
        if node.name in TESTS and self._kind(node.node):
            return "other"
        return self._given_others(node, self._kind(node.node))

    def _call(self, node: nodes.Call) -> Kind:
        called = node.node
        if isinstance(called, nodes.Getattr) and called.attr == "strip" and not (node.args or node.kwargs):
            return self._require(called.node, "text", "other")
        if isinstance(called, nodes.Name) and called.name not in FUNCTIONS:
            raise _Seen
        return self._given_others(node, self._kind(called))

    def _given_others(self, node: Any, base: Kind) -> Kind:
        """A value computed from parts independent of texts."""
        for one in (*node.args, *node.kwargs, node.dyn_args, node.dyn_kwargs):
            self._require(one, "other")
        if base != "other":
            raise _Seen
        return "other"

    def _compared(self, node: nodes.Compare) -> Kind:
        self._require(node.expr, "other")
        for operand in node.ops:
            is_asked_for_key = operand.op in ("in", "notin")
            self._require(operand.expr, "other", *(("message",) if is_asked_for_key else ()))
        return "other"


_EXPRESSIONS: dict[type[nodes.Node], Callable[[_Reader, Any], Kind]] = {
    nodes.Name: _Reader._name,
    nodes.Add: _Reader._joined,
    nodes.Concat: _Reader._joined,
    nodes.And: _Reader._joined,
    nodes.Or: _Reader._joined,
    nodes.Not: _Reader._not,
    nodes.CondExpr: _Reader._choice,
    nodes.Getitem: _Reader._part,
    nodes.Getattr: _Reader._part,
    nodes.Filter: _Reader._filter,
    nodes.Test: _Reader._test,
    nodes.Call: _Reader._call,
    nodes.Compare: _Reader._compared,
}
