"""A tree of completions: a language model's possible continuations, and the probability of a path as a product.

The model is a function from the tokens of a completion so far to the logits of the next one. Shapes: V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Completion", "NextLogits", "grow", "layout", "path_log_prob", "readable"]

NextLogits = Callable[[tuple[int, ...]], Tensor]
"""A function from the tokens of a completion so far to the logits of the next, (V,)."""


@dataclass(frozen=True)
class Completion:
    """A node of the tree.

    Args:
        path: tokens from the end of the prompt to here.
        log_prob: of the last token, given those before it; 0 at the root.
        path_log_prob: of the whole path, the sum of `log_prob` from the root to here.
        children: the likeliest continuations, likeliest first; empty if the path ended or was not extended.
        rest: total probability of all other continuations; 0 if there are no children.
    """

    path: tuple[int, ...]
    log_prob: float
    path_log_prob: float
    children: tuple[Completion, ...]
    rest: float

    def __iter__(self) -> Iterator[Completion]:
        """This node and its descendants, in depth-first order."""
        yield self
        for child in self.children:
            yield from child


def grow(
    next_logits: NextLogits,
    *,
    depth: int,
    width: int,
    temperature: float = 1.0,
    least: float = 0.0,
    end_ids: Collection[int] = (),
) -> Completion:
    """The likeliest completions as a tree.

    Args:
        next_logits: the model after its prompt.
        depth: the most tokens of a path, at least 1.
        width: the most children of a node, at least 1.
        temperature: logits are divided by it, > 0.
        least: a path of lower probability is not extended.
        end_ids: tokens that end a completion.

    Returns:
        The root.

    Raises:
        ValueError: depth, width or temperature is too small.

    Example:
        >>> import torch
        >>> from penchant.lab import grow
        >>> root = grow(lambda path: torch.tensor([0.5, 0.3, 0.2]).log(), depth=1, width=2)
        >>> [(child.path, round(child.log_prob, 2)) for child in root.children], round(root.rest, 6)
        ([((0,), -0.69), ((1,), -1.2)], 0.2)
    """
    if depth < 1 or width < 1 or not temperature > 0:
        raise ValueError(
            "a tree needs a depth and a width of 1 or more and a temperature above 0, "
            f"got {depth}, {width} and {temperature}"
        )

    def node(path: tuple[int, ...], log_prob: float, path_log_prob: float) -> Completion:
        if len(path) == depth or (path and path[-1] in end_ids) or math.exp(path_log_prob) < least:
            return Completion(path, log_prob, path_log_prob, (), 0.0)
        log_probs_V = _log_probs(next_logits(path), temperature)
        best = torch.topk(log_probs_V, min(width, len(log_probs_V)))
        left_V = log_probs_V.exp().index_fill(0, best.indices, 0.0)
        children = tuple(
            node((*path, token), value, path_log_prob + value)
            for token, value in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        )
        return Completion(path, log_prob, path_log_prob, children, float(left_V.sum()))

    return node((), 0.0, 0.0)


def path_log_prob(next_logits: NextLogits, path: tuple[int, ...], temperature: float = 1.0) -> float:
    """log pi(y|x) = sum over t of log p(y_t | x, y_<t), computed token by token.

    Args:
        next_logits: the model after its prompt.
        path: the tokens y.
        temperature: logits are divided by it, > 0.

    Returns:
        Natural-log probability.

    Example:
        >>> import math, torch
        >>> from penchant.lab import path_log_prob
        >>> round(math.exp(path_log_prob(lambda path: torch.zeros(4), (3, 1))), 6)
        0.0625
    """
    steps = ((_log_probs(next_logits(path[:t]), temperature), token) for t, token in enumerate(path))
    return sum(float(log_probs_V[token]) for log_probs_V, token in steps)


def readable(text: str) -> str:
    """A token's text with white space made visible: a space as an open box, line ends and tabs as escapes.

    Example:
        >>> from penchant.lab import readable
        >>> readable(" a\\n")
        '\\u2423a\\\\n'
        >>> readable("")
        '\\u2205'
    """
    shown = "".join("\u2423" if c == " " else c if c.isprintable() else repr(c)[1:-1] for c in text)
    return shown or "\u2205"


def layout(root: Completion, text_of: Callable[[tuple[int, ...]], str]) -> dict[str, list[dict[str, Any]]]:
    """The layout of a drawing: a column per token, a row per leaf, and a row for the rest of every inner node.

    Args:
        root: the tree.
        text_of: the text of the last token of a path.

    Returns:
        nodes of column, row, probability of the path, and kind: inner, leaf or rest; edges of start, end (indices of
        nodes), text and probability.

    Example:
        >>> import torch
        >>> from penchant.lab import grow, layout
        >>> drawn = layout(grow(lambda path: torch.tensor([0.6, 0.4]).log(), depth=1, width=1), str)
        >>> [(node["kind"], node["row"]) for node in drawn["nodes"]]
        [('leaf', 0), ('rest', 1), ('inner', 0.0)]
        >>> [(edge["text"], round(edge["probability"], 6)) for edge in drawn["edges"]]
        [('(0,)', 0.6), ('the rest', 0.4)]
    """
    nodes: list[dict[str, Any]] = []
    edges: list[dict[str, Any]] = []

    def put(kind: str, column: int, row: float, probability: float) -> int:
        nodes.append({"kind": kind, "column": column, "row": row, "probability": probability})
        return len(nodes) - 1

    def rows() -> int:
        return sum(node["kind"] != "inner" for node in nodes)

    def draw(node: Completion) -> int:
        column, probability = len(node.path), math.exp(node.path_log_prob)
        if not node.children:
            return put("leaf", column, rows(), probability)
        ends = [draw(child) for child in node.children]
        rest = put("rest", column + 1, rows(), probability * node.rest)
        here = put("inner", column, (nodes[ends[0]]["row"] + nodes[ends[-1]]["row"]) / 2, probability)
        for child, end in zip(node.children, ends, strict=True):
            taken = math.exp(child.log_prob)
            edges.append({"start": here, "end": end, "text": text_of(child.path), "probability": taken})
        edges.append({"start": here, "end": rest, "text": "the rest", "probability": node.rest})
        return here

    draw(root)
    return {"nodes": nodes, "edges": edges}


def _log_probs(logits_V: Tensor, temperature: float) -> Tensor:
    return torch.log_softmax(logits_V.double() / temperature, dim=0)
