"""The experiment `tree`: a real model's possible answers as a tree, and the probability of an answer as a product."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from penchant.data import Message
from penchant.lab import Completion, Result, TreeFigure, grow, layout, path_log_prob, readable
from penchant.lab.result import require
from penchant.models.numerics import computing
from penchant.models.opening import open_model
from penchant.progress import Reporter, Silent
from penchant.tokens import TokenSequence

if TYPE_CHECKING:
    from penchant.models.language_model import LanguageModel

__all__ = ["tree"]

CLAIM = (
    "The probability of a completion is the product of its tokens' probabilities along its path from the root, which "
    "a single pass over the whole text gives at once because no token sees those after it."
)
TOLERANCE = 1e-5  # of a log-probability
SHOWN = 8


def tree(
    model: str = "smollm2-135m",
    prompt: str = "What is the capital of France?",
    depth: int = 3,
    width: int = 3,
    temperature: float = 1.0,
    least: float = 0.02,
    chat_template: str = "",
    *,
    reporter: Reporter | None = None,
) -> Result:
    """Grow the likeliest answers of a model as a tree, and compare each path's product with one pass over its text.

    Args:
        model: a starter's name, a Hugging Face folder, a run folder, a .gguf file or a Hub name.
        prompt: the user's message.
        depth: the most tokens of a path, at least 1.
        width: the most children of a node, at least 1.
        temperature: logits are divided by it, > 0.
        least: a path of lower probability is not extended, in [0, 1).
        chat_template: "plain" for a model of raw text; None for the model's own.
        reporter: receives progress; None: nobody.

    Returns:
        The Result; figure: the tree.

    Raises:
        UserError: an option is out of range, or there is no such model.
    """
    require("depth", depth, depth >= 1, "at least 1")
    require("width", width, width >= 1, "at least 1")
    require("temperature", temperature, 1e-6 <= temperature <= 1e6, "from 1e-6 to a million")
    require("least", least, 0 <= least < 1, "at least 0 and below 1")
    with computing():
        return _tree(model, prompt, depth, width, temperature, least, chat_template, reporter or Silent())


def _tree(
    model: str,
    prompt: str,
    depth: int,
    width: int,
    temperature: float,
    least: float,
    chat_template: str,
    reporter: Reporter,
) -> Result:
    language_model = open_model(
        model, device="cpu", dtype="float32", chat_template=chat_template or None, reporter=reporter
    )
    language_model.network.double()  # in fp32 the two computations may differ by more than the tolerance
    prompt_ids = language_model.encoder.encode_prompt([Message(role="user", content=prompt)])
    room = language_model.context_length - len(prompt_ids)
    require("depth", depth, depth <= room, f"at most {room}, what the prompt leaves of the model's context")
    reader = _Reader(language_model, prompt_ids)
    ends = language_model.encoder.end_ids
    root = grow(reader.next_logits, depth=depth, width=width, temperature=temperature, least=least, end_ids=ends)
    drawn = layout(root, lambda path: readable(reader.text(path[:-1], path[-1])))
    title = f"Answers of {Path(model).name} to \N{LEFT DOUBLE QUOTATION MARK}{prompt}\N{RIGHT DOUBLE QUOTATION MARK}"
    figure = TreeFigure(f"{title}: a path's probability is a product", tuple(drawn["nodes"]), tuple(drawn["edges"]))
    measured, checks = _measure(root, reader, temperature)
    table = _likeliest(root, reader)
    options = {
        "model": model,
        "prompt": prompt,
        "depth": depth,
        "width": width,
        "temperature": temperature,
        "least": least,
        "chat_template": chat_template,
    }
    return Result("tree", CLAIM, checks, measured, (figure,), options, table)


class _Reader:
    """A model after its prompt, run with its own attention, one pass at a time."""

    def __init__(self, model: LanguageModel, prompt_ids: list[int]) -> None:
        self.model, self.prompt_ids = model, prompt_ids
        self._known: dict[tuple[int, ...], Tensor] = {}

    def next_logits(self, path: tuple[int, ...]) -> Tensor:
        """Logits of the token after the prompt and this path, (V,)."""
        if path not in self._known:
            self._known[path] = self._logits(path)[-1]
        return self._known[path]

    def teacher_forced(self, path: tuple[int, ...], temperature: float) -> float:
        """log pi(path) from a single pass over prompt and path."""
        log_probs_TV = torch.log_softmax(self._logits(path[:-1])[-len(path) :] / temperature, dim=1)
        return float(log_probs_TV.gather(1, torch.tensor(path)[:, None]).sum())

    def scored(self, paths: list[tuple[int, ...]]) -> list[float]:
        """log pi of every path as training scores them: all in one packed pass, the prompt run once."""
        from penchant.models.forward import score_sequences

        with torch.no_grad():
            return score_sequences(self.model, [TokenSequence.of(self.prompt_ids, path) for path in paths]).tolist()

    def text(self, path: tuple[int, ...], token: int) -> str:
        """The text of a token; special tokens are spelt out."""
        before, after = [*self.prompt_ids, *path], [*self.prompt_ids, *path, token]
        decode: Callable[..., str] = self.model.tokenizer.decode
        return decode(after, skip_special_tokens=False)[len(decode(before, skip_special_tokens=False)) :]

    def _logits(self, path: tuple[int, ...]) -> Any:
        """After every token of prompt and path, (T, V)."""
        ids_T = torch.tensor([[*self.prompt_ids, *path]])
        shared = self.model.shares
        if shared:
            self.model.stop_sharing("its network is called directly")
        try:
            with torch.no_grad():
                return self.model.network(input_ids=ids_T, use_cache=False).logits[0]
        finally:
            if shared:
                self.model.start_sharing()


def _measure(root: Completion, reader: _Reader, temperature: float) -> tuple[dict[str, float], dict[str, bool]]:
    nodes = list(root)
    inner = [node for node in nodes if node.children]
    leaves = [node for node in nodes if not node.children]
    paths = [leaf.path for leaf in leaves]
    sums = [sum(math.exp(child.log_prob) for child in node.children) + node.rest for node in inner]
    everything = sum(math.exp(node.path_log_prob) for node in leaves)
    everything += sum(math.exp(node.path_log_prob) * node.rest for node in inner)
    forced = max(abs(reader.teacher_forced(leaf.path, temperature) - leaf.path_log_prob) for leaf in leaves)
    products = [path_log_prob(reader.next_logits, path) for path in paths]
    scored = max(abs(a - b) for a, b in zip(reader.scored(paths), products, strict=True))
    measured = {
        "children and the rest of a node less 1, at most": max(abs(total - 1) for total in sums),
        "all paths and all rests less 1": abs(everything - 1),
        "one pass over a whole path less the sum of logs along the tree, at most": forced,
        "training's scoring (T = 1) less the sum of logs along the tree, at most": scored,
    }
    held = [measured[name] < TOLERANCE for name in measured]
    words = (
        "the children of every node and its rest make 1",
        "all paths and all rests make 1",
        "one pass over a whole path gives the product along the tree",
        "so does the scoring that training uses, all paths packed into one pass",
    )
    return measured, dict(zip(words, held, strict=True))


def _likeliest(root: Completion, reader: _Reader) -> tuple[dict[str, str], ...]:
    """The likeliest paths in words, with their products."""
    leaves = sorted((node for node in root if not node.children), key=lambda node: -node.path_log_prob)
    rows = []
    for leaf in leaves[:SHOWN]:
        tokens = [readable(reader.text(leaf.path[:t], token)) for t, token in enumerate(leaf.path)]
        steps = [node for node in root if node.path and leaf.path[: len(node.path)] == node.path]
        product = " x ".join(f"{math.exp(step.log_prob):.3g}" for step in steps)
        rows.append({"completion": "".join(tokens), "product": product, "p": f"{math.exp(leaf.path_log_prob):.3g}"})
    return tuple(rows)
