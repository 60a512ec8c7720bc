"""TokenTree: every token sequence up to a depth, so that a language model is a finite table.

Shapes: X prompts, Y sequences (leaves of the tree), N prefixes (its inner nodes), V tokens, T steps of a sequence.
"""

from __future__ import annotations

from functools import cached_property
from itertools import product

import torch
from torch import Tensor

from penchant.lab.world import World

__all__ = ["TokenTree"]

END = 0


class TokenTree:
    """All sequences over V tokens that end with token 0 or are cut off after `depth` tokens.

    A policy is a table of logits (X, N, V), one row per prompt and prefix: as a language model computes. Sequences
    are mutually exclusive and exhaustive, so their probabilities sum to 1.

    Args:
        num_tokens: V, the vocabulary with its end token, at least 2.
        depth: the number of tokens after which a sequence is cut off, at least 1.

    Raises:
        ValueError: either number is too small.

    Example:
        >>> from penchant.lab import TokenTree
        >>> TokenTree(num_tokens=3, depth=2).sequences
        ((0,), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2))
    """

    def __init__(self, num_tokens: int, depth: int) -> None:
        if num_tokens < 2 or depth < 1:
            raise ValueError(f"a tree needs 2 tokens and a depth of 1 or more, got {num_tokens} and {depth}")
        self.num_tokens = num_tokens
        self.depth = depth
        others = range(1, num_tokens)
        self.prefixes = tuple(prefix for length in range(depth) for prefix in product(others, repeat=length))
        finished = [(*prefix, END) for prefix in self.prefixes]
        self.sequences = tuple(sorted([*finished, *product(others, repeat=depth)]))

    @property
    def length_Y(self) -> Tensor:
        """Tokens of each sequence, the end token included; float64, shape (Y,)."""
        return torch.tensor([len(sequence) for sequence in self.sequences], dtype=torch.float64)

    @cached_property
    def steps_NVY(self) -> Tensor:
        """1 where a sequence takes that token after that prefix, else 0; shape (N, V, Y)."""
        index = {prefix: n for n, prefix in enumerate(self.prefixes)}
        steps_NVY = torch.zeros(len(self.prefixes), self.num_tokens, len(self.sequences), dtype=torch.float64)
        for y, sequence in enumerate(self.sequences):
            for t, token in enumerate(sequence):
                steps_NVY[index[sequence[:t]], token, y] = 1
        return steps_NVY

    @cached_property
    def places_YT2(self) -> Tensor:
        """(prefix, token) of each step of each sequence, int64, T the depth; -1 after its end. Shape (Y, T, 2)."""
        index = {prefix: n for n, prefix in enumerate(self.prefixes)}
        places_YT2 = torch.full((len(self.sequences), self.depth, 2), -1)
        for y, sequence in enumerate(self.sequences):
            for t, token in enumerate(sequence):
                places_YT2[y, t] = torch.tensor([index[sequence[:t]], token])
        return places_YT2

    def log_probs(self, logits_XNV: Tensor) -> Tensor:
        """log pi(y|x) = sum over t = 1 .. |y| of log p(y_t | x, y_1 .. y_(t-1)): the path from root to leaf.

        The product has |y| factors, the last for the end token, unless the sequence is cut off.

        Args:
            logits_XNV: next-token logits after every prefix, shape (X, N, V).

        Returns:
            Tensor of shape (X, Y), differentiable.

        Example:
            >>> import torch
            >>> from penchant.lab import TokenTree
            >>> TokenTree(num_tokens=2, depth=2).log_probs(torch.zeros(1, 2, 2, dtype=torch.float64)).exp()
            tensor([[0.5000, 0.2500, 0.2500]], dtype=torch.float64)
        """
        return torch.einsum("xnv,nvy->xy", torch.log_softmax(logits_XNV, dim=2), self.steps_NVY)

    def conditionals(self, policy_XY: Tensor) -> Tensor:
        """The next-token probabilities of any distribution over the sequences.

        A token-level policy is fully general: `log_probs` of their logarithm gives the policy again.

        Args:
            policy_XY: probabilities of the sequences, above 0, shape (X, Y).

        Returns:
            Tensor of shape (X, N, V): among sequences through a prefix, the share that continues with each token.

        Example:
            >>> import torch
            >>> from penchant.lab import TokenTree
            >>> tree = TokenTree(num_tokens=2, depth=2)
            >>> tree.conditionals(torch.tensor([[0.2, 0.2, 0.6]], dtype=torch.float64))
            tensor([[[0.2000, 0.8000],
                     [0.2500, 0.7500]]], dtype=torch.float64)
        """
        mass_XNV = torch.einsum("xy,nvy->xnv", policy_XY, self.steps_NVY)
        return mass_XNV / mass_XNV.sum(2, keepdim=True)

    def world(self, reference_logits_XNV: Tensor, reward_XY: Tensor) -> World:
        """The world with the sequences as responses, with their lengths and a token-level reference.

        Example:
            >>> import torch
            >>> from penchant.lab import TokenTree
            >>> tree = TokenTree(num_tokens=2, depth=2)
            >>> tree.world(torch.zeros(1, 2, 2), torch.zeros(1, 3)).length_XY
            tensor([[1., 2., 2.]], dtype=torch.float64)
        """
        reference_XY = self.log_probs(reference_logits_XNV.double()).exp()
        return World.from_reward(reference_XY, reward_XY, self.length_Y.expand_as(reference_XY))
