"""The losses of reward models: the likelihood of preferences, and a term that centres rewards.

Notation: r = the reward of a response; p = soft label p(chosen > rejected); m = margin.
Shapes: B pairs.
"""

from torch import Tensor

from penchant.objectives.logistic import preference_cross_entropy

__all__ = ["bradley_terry_loss", "centring"]


def bradley_terry_loss(
    reward_chosen_B: Tensor, reward_rejected_B: Tensor, probability_B: Tensor, margin_B: Tensor
) -> Tensor:
    """-p logsigmoid(z) - (1 - p) logsigmoid(-z), where z = r(chosen) - r(rejected) - m.

    The negative log-likelihood of the preferences under the Bradley-Terry model. A pair judged equally good has
    p = 1/2, which pulls the two rewards together.

    Args:
        reward_chosen_B: rewards of the chosen responses, shape (B,).
        reward_rejected_B: the same for the rejected responses.
        probability_B: soft label p(chosen > rejected) in [0, 1]; 1 is a hard label.
        margin_B: the target difference of the chosen and rejected rewards; 0 means no margin.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import bradley_terry_loss
        >>> bradley_terry_loss(*torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.5], [0.0, 0.0]]))
        tensor([0.3133, 0.6931])

    Reference:
        Learning to summarize from human feedback, arXiv 2009.01325, section 3.4; margin: Llama 2, arXiv 2307.09288,
        eq. 2.
    """
    return preference_cross_entropy(reward_chosen_B - reward_rejected_B - margin_B, probability_B)


def centring(reward_chosen_B: Tensor, reward_rejected_B: Tensor) -> Tensor:
    """(r(chosen) + r(rejected))^2: with a small weight, this term brings the mean reward to zero.

    Preferences do not determine an additive constant of the rewards; this term does, without favouring a side.

    Args:
        reward_chosen_B: rewards of the chosen responses, shape (B,).
        reward_rejected_B: the same for the rejected responses.

    Returns:
        Tensor of shape (B,).

    Example:
        >>> import torch
        >>> from penchant.objectives import centring
        >>> centring(torch.tensor([1.5]), torch.tensor([0.5]))
        tensor([4.])

    Reference:
        Helping or Herding? Reward Model Ensembles Mitigate but do not Eliminate Reward Hacking, arXiv 2312.09244,
        eq. 2.
    """
    return (reward_chosen_B + reward_rejected_B) ** 2
