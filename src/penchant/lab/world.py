"""World: a handful of prompts and responses, small enough to list every probability.

Shapes: X prompts, Y responses to each. Everything is float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["World", "bradley_terry"]

FLOAT32 = 1e-6  # float32 probabilities sum to 1 only this closely; constructors renormalise them


def bradley_terry(reward_XY: Tensor) -> Tensor:
    """P[x, i, j] = sigmoid(r_i - r_j): the probability that response i is preferred to j.

    The same as s_i / (s_i + s_j) with strengths s = exp(r), and as Elo's 1 / (1 + 10^((R_j - R_i) / 400)) with
    R = 400 r / ln 10.

    Args:
        reward_XY: rewards, shape (X, Y).

    Returns:
        Tensor of shape (X, Y, Y); 1/2 on the diagonal.

    Example:
        >>> import torch
        >>> from penchant.lab import bradley_terry
        >>> bradley_terry(torch.tensor([[0.0, 1.0]]))
        tensor([[[0.5000, 0.2689],
                 [0.7311, 0.5000]]])

    Reference:
        Direct Preference Optimization, arXiv 2305.18290, eq. 1.
    """
    return torch.sigmoid(reward_XY[:, :, None] - reward_XY[:, None, :])


@dataclass(frozen=True, eq=False)
class World:
    """X prompts, all equally likely, and the same number Y of responses to each.

    Args:
        reference_XY: pi_ref(y | x), every entry above 0. A response outside its support has probability 0 under
            every policy of finite KL, so leave it out.
        preference_XYY: P[x, i, j], probability that people prefer i to j; P[x, i, j] + P[x, j, i] = 1.
        length_XY: number of tokens of each response, at least 1; used by objectives that average over tokens.
        reward_XY: the reward behind the preferences; None if there is none (preferences may be cyclic).

    Raises:
        ValueError: a tensor has another shape or dtype, or its numbers are not probabilities as above.

    Example:
        >>> import torch
        >>> from penchant.lab import World
        >>> world = World.from_reward(torch.full((1, 2), 0.5, dtype=torch.float64), torch.tensor([[1.0, 0.0]]))
        >>> world.num_prompts, world.num_responses
        (1, 2)
    """

    reference_XY: Tensor
    preference_XYY: Tensor
    length_XY: Tensor
    reward_XY: Tensor | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.reference_XY.shape)
        if len(shape) != 2:
            raise ValueError(f"reference_XY has shape {shape}; give probabilities of shape (X, Y)")
        expected = {"reference_XY": shape, "preference_XYY": (*shape, shape[1]), "length_XY": shape, "reward_XY": shape}
        for name, wanted in expected.items():
            tensor = getattr(self, name)
            if tensor is not None and (tuple(tensor.shape) != wanted or tensor.dtype != torch.float64):
                raise ValueError(
                    f"{name} has shape {tuple(tensor.shape)} and dtype {tensor.dtype}; give float64 of shape {wanted}"
                )
        self._refuse_impossible()

    def _refuse_impossible(self) -> None:
        total_X = self.reference_XY.sum(1)
        if not (self.reference_XY > 0).all() or (total_X - 1).abs().max() > 1e-9:
            raise ValueError(
                f"each row of reference_XY must be above 0 and sum to 1, got a smallest entry of "
                f"{self.reference_XY.min().item():.3g} and sums {total_X.tolist()}; leave impossible responses out"
            )
        both_XYY = self.preference_XYY + self.preference_XYY.transpose(1, 2)
        # NaN fails every comparison, so the valid condition is tested.
        within = ((self.preference_XYY >= 0) & (self.preference_XYY <= 1)).all()
        if not within or (both_XYY - 1).abs().max() > 1e-9:
            raise ValueError(
                "preference_XYY must lie in [0, 1] with P[x, i, j] + P[x, j, i] = 1, got values from "
                f"{self.preference_XYY.min().item():.3g} to {self.preference_XYY.max().item():.3g} and sums from "
                f"{both_XYY.min().item():.3g} to {both_XYY.max().item():.3g}"
            )
        if not (self.length_XY >= 1).all():
            raise ValueError(
                f"length_XY must be at least 1 token, got a smallest entry of {self.length_XY.min().item()}"
            )
        if self.reward_XY is not None and not self.reward_XY.isfinite().all():
            raise ValueError("reward_XY holds a number that is not finite; give finite rewards")

    @classmethod
    def from_reward(cls, reference_XY: Tensor, reward_XY: Tensor, length_XY: Tensor | None = None) -> World:
        """A world in which people choose by Bradley-Terry from a reward; lengths are 1 unless given.

        Example:
            >>> import torch
            >>> from penchant.lab import World
            >>> World.from_reward(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.0, 0.0]])).preference_XYY[0, 0, 1].item()
            0.5
        """
        reward_XY = reward_XY.double()
        return cls(_rounded(reference_XY), bradley_terry(reward_XY), _lengths(reference_XY, length_XY), reward_XY)

    @classmethod
    def from_preferences(cls, reference_XY: Tensor, preference_XYY: Tensor, length_XY: Tensor | None = None) -> World:
        """A world given by its preference matrix, which no reward needs to explain.

        Example:
            >>> import torch
            >>> from penchant.lab import World
            >>> always = torch.tensor([[[0.5, 1.0], [0.0, 0.5]]])
            >>> World.from_preferences(torch.tensor([[0.5, 0.5]]), always).reward_XY is None
            True
        """
        preference_XYY = preference_XYY.double()
        both_XYY = preference_XYY + preference_XYY.transpose(1, 2)
        if (both_XYY - 1).abs().max() < FLOAT32:
            preference_XYY = preference_XYY / both_XYY
        return cls(_rounded(reference_XY), preference_XYY, _lengths(reference_XY, length_XY))

    @classmethod
    def random(cls, seed: int, num_prompts: int, num_responses: int) -> World:
        """A world with a reward: rewards and reference logits are independent standard normal numbers.

        Example:
            >>> from penchant.lab import World
            >>> World.random(seed=0, num_prompts=2, num_responses=3).reference_XY.shape
            torch.Size([2, 3])
        """
        generator = torch.Generator().manual_seed(seed)
        reward_XY, logits_XY = torch.randn(
            2, num_prompts, num_responses, dtype=torch.float64, generator=generator
        ).unbind(0)
        return cls.from_reward(torch.softmax(logits_XY, 1), reward_XY)

    @property
    def num_prompts(self) -> int:
        """X."""
        return self.reference_XY.shape[0]

    @property
    def num_responses(self) -> int:
        """Y."""
        return self.reference_XY.shape[1]

    @property
    def known_reward_XY(self) -> Tensor:
        """The reward behind the preferences, shape (X, Y). ValueError if there is none."""
        if self.reward_XY is None:
            raise ValueError("this world has preferences but no reward; fit one, or build it with World.from_reward")
        return self.reward_XY


def _rounded(reference_XY: Tensor) -> Tensor:
    total_X1 = reference_XY.double().sum(1, keepdim=True)
    is_close = (total_X1 - 1).abs().max() < FLOAT32
    return reference_XY.double() / total_X1 if is_close else reference_XY.double()


def _lengths(reference_XY: Tensor, length_XY: Tensor | None) -> Tensor:
    return (torch.ones_like(reference_XY) if length_XY is None else length_XY).double()
