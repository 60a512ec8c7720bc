"""Implicit rewards from a policy's log-probs, the preference they predict, and whether it is right.

Shapes: B pairs.
"""

import torch
from torch import Tensor

from penchant.objectives.batch import PairBatch

__all__ = ["implicit_rewards", "preference_credit", "preference_probability"]


def implicit_rewards(batch: PairBatch, beta: float) -> tuple[Tensor, Tensor]:
    """beta (log pi - log pi_ref) of each side: the reward for which the policy is optimal.

    It is known up to a constant of the prompt, which cancels between two responses. Gradients flow; call `.detach()` on
    the results if they are only logged.

    Args:
        batch: B pairs with a reference.
        beta: the beta that the policy is trained with, > 0.

    Returns:
        Chosen and rejected rewards, each of shape (B,).

    Raises:
        ValueError: the pairs have no reference.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, implicit_rewards
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> implicit_rewards(batch, beta=0.1)
        (tensor([0.1000]), tensor([-0.1000]))

    Reference:
        Direct Preference Optimization, arXiv 2305.18290, eq. 5.
    """
    return beta * batch.log_ratio_chosen_B, beta * batch.log_ratio_rejected_B


def preference_probability(reward_chosen_B: Tensor, reward_rejected_B: Tensor) -> Tensor:
    """sigmoid(reward_chosen - reward_rejected): the Bradley-Terry probability that chosen beats rejected.

    Args:
        reward_chosen_B: rewards of shape (B,), from `implicit_rewards` or a reward model.
        reward_rejected_B: the same for the rejected responses.

    Returns:
        Probabilities of shape (B,).

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, implicit_rewards, preference_probability
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> preference_probability(*implicit_rewards(batch, beta=0.1))
        tensor([0.5498])

    Reference:
        Direct Preference Optimization, arXiv 2305.18290, eq. 1 and 6.
    """
    return torch.sigmoid(reward_chosen_B - reward_rejected_B)


def preference_credit(margin_B: Tensor, probability_B: Tensor | None = None) -> Tensor:
    """Each pair's credit in an accuracy: 1 if ranked as labelled, 0 if ranked the other way, 1/2 for a tie.

    A tie is a margin of exactly 0, as if the policy equals its reference, or a label of exactly 1/2.

    Args:
        margin_B: reward of chosen less that of rejected, shape (B,).
        probability_B: soft label p(chosen > rejected), shape (B,); None: chosen is better in every pair.

    Returns:
        0, 1/2 or 1 for each pair, shape (B,).

    Example:
        >>> import torch
        >>> from penchant.objectives import preference_credit
        >>> preference_credit(torch.tensor([2.0, -1.0, 0.0]))
        tensor([1.0000, 0.0000, 0.5000])
        >>> preference_credit(torch.tensor([2.0, 2.0]), torch.tensor([0.3, 0.5]))
        tensor([0.0000, 0.5000])
    """
    side_B = torch.sign(margin_B)
    return 0.5 + 0.5 * (side_B if probability_B is None else side_B * torch.sign(probability_B - 0.5))
