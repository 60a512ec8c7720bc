"""The KL-regularised objective and its optimum, by summing over every response.

Shapes: X prompts, Y responses. All policies are probabilities, float64, whose rows sum to 1; all results are natural
logarithms or rewards per prompt, shape (X,), so that the caller takes the mean over prompts.
"""

import torch
from torch import Tensor

__all__ = [
    "expected_reward",
    "ipo_optimum",
    "kl_divergence",
    "log_partition",
    "optimal_policy",
    "recovered_reward",
    "regularised_reward",
]


def log_partition(reference_XY: Tensor, reward_XY: Tensor, beta: float) -> Tensor:
    """log Z(x), where Z(x) = sum_y pi_ref(y|x) exp(R(x,y) / beta).

    It depends on the prompt, the reference, the reward and beta, but on neither the response nor the policy.

    Args:
        reference_XY: pi_ref, above 0.
        reward_XY: R.
        beta: strength of the pull to the reference, > 0.

    Returns:
        Tensor of shape (X,).

    Raises:
        ValueError: beta is not above 0.

    Example:
        >>> import torch
        >>> from penchant.lab import log_partition
        >>> half, log4 = torch.tensor([[0.5, 0.5]]), torch.tensor([[4.0, 2.0]]).log()
        >>> log_partition(half, log4, beta=1.0).exp()
        tensor([3.])

    Reference:
        Direct Preference Optimization, arXiv 2305.18290, below eq. 4.
    """
    return torch.logsumexp(reference_XY.log() + reward_XY / positive(beta), dim=1)


def optimal_policy(reference_XY: Tensor, reward_XY: Tensor, beta: float) -> Tensor:
    """pi*(y|x) = pi_ref(y|x) exp(R(x,y) / beta) / Z(x): the optimal policy.

    Args:
        reference_XY: pi_ref, above 0.
        reward_XY: R.
        beta: strength of the pull to the reference, > 0.

    Returns:
        Tensor of shape (X, Y).

    Raises:
        ValueError: beta is not above 0.

    Example:
        >>> import torch
        >>> from penchant.lab import optimal_policy
        >>> optimal_policy(torch.tensor([[0.5, 0.5]]), torch.tensor([[4.0, 1.0]]).log(), beta=1.0)
        tensor([[0.8000, 0.2000]])

    Reference:
        Direct Preference Optimization, arXiv 2305.18290, eq. 4.
    """
    return torch.softmax(reference_XY.log() + reward_XY / positive(beta), dim=1)


def kl_divergence(policy_XY: Tensor, other_XY: Tensor) -> Tensor:
    """KL(policy || other) = sum_y policy log(policy / other), in nats; 0 log 0 is 0.

    Args:
        policy_XY: the distribution of the expectation.
        other_XY: the distribution compared with.

    Returns:
        Tensor of shape (X,), at least 0; infinite where `other` is 0 and `policy` is not.

    Example:
        >>> import torch
        >>> from penchant.lab import kl_divergence
        >>> kl_divergence(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.5]]))  # ln 2
        tensor([0.6931])
    """
    return (torch.xlogy(policy_XY, policy_XY) - torch.xlogy(policy_XY, other_XY)).sum(1)


def expected_reward(policy_XY: Tensor, reward_XY: Tensor) -> Tensor:
    """E_{y ~ policy}[R(x, y)], shape (X,).

    Example:
        >>> import torch
        >>> from penchant.lab import expected_reward
        >>> expected_reward(torch.tensor([[0.25, 0.75]]), torch.tensor([[4.0, 0.0]]))
        tensor([1.])
    """
    return (policy_XY * reward_XY).sum(1)


def regularised_reward(policy_XY: Tensor, reference_XY: Tensor, reward_XY: Tensor, beta: float) -> Tensor:
    """J(x) = E_{y ~ policy}[R(x, y)] - beta KL(policy || pi_ref): the objective of RLHF, and of DPO without RL.

    Args:
        policy_XY: the policy to evaluate.
        reference_XY: pi_ref, above 0.
        reward_XY: R.
        beta: strength of the pull to the reference, > 0.

    Returns:
        Tensor of shape (X,), at most beta log Z(x).

    Raises:
        ValueError: beta is not above 0.

    Example:
        >>> import torch
        >>> from penchant.lab import regularised_reward
        >>> half, reward = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
        >>> regularised_reward(half, half, reward, beta=0.1)
        tensor([0.5000])

    Reference:
        Direct Preference Optimization, arXiv 2305.18290, eq. 3.
    """
    return expected_reward(policy_XY, reward_XY) - positive(beta) * kl_divergence(policy_XY, reference_XY)


def recovered_reward(policy_XY: Tensor, reference_XY: Tensor, log_partition_X: Tensor, beta: float) -> Tensor:
    """R(x,y) = beta log(pi(y|x) / pi_ref(y|x)) + beta log Z(x): the reward for which a policy is optimal.

    Args:
        policy_XY: the policy, above 0.
        reference_XY: pi_ref, above 0.
        log_partition_X: log Z; any number per prompt gives a reward for which the policy is optimal.
        beta: strength of the pull to the reference, > 0.

    Returns:
        Tensor of shape (X, Y).

    Raises:
        ValueError: beta is not above 0.

    Example:
        >>> import torch
        >>> from penchant.lab import recovered_reward
        >>> half = torch.tensor([[0.5, 0.5]])
        >>> recovered_reward(half, half, torch.tensor([3.0]), beta=2.0)
        tensor([[6., 6.]])

    Reference:
        Direct Preference Optimization, arXiv 2305.18290, eq. 5.
    """
    return positive(beta) * (policy_XY.log() - reference_XY.log() + log_partition_X[:, None])


def ipo_optimum(reference_XY: Tensor, preference_XYY: Tensor, sampling_XYY: Tensor, beta: float) -> Tensor:
    """The policy that minimises the population loss of IPO, in closed form.

    In weighted least squares, IPO fits the difference u_i - u_j of log-ratios to a_ij = (2 P_ij - 1) / (2 beta). With
    w_ij the frequency of comparing i and j, the solution solves a graph Laplacian, L u = sum_j w_ij a_ij. If both
    responses are drawn independently from mu, u_i = E_{j ~ mu}[P_ij] / beta + constant: the optimum is pi(y)
    proportional to pi_ref(y) exp(p(y > mu) / beta), a reward bounded by 1 however certain people are.

    Args:
        reference_XY: pi_ref, above 0.
        preference_XYY: P.
        sampling_XYY: frequency of each pair, at least 0, on any scale; the diagonal is ignored.
        beta: the beta of `ipo_sum` (tau in the paper), > 0.

    Returns:
        Tensor of shape (X, Y).

    Raises:
        ValueError: beta is not above 0.

    Example:
        >>> import torch
        >>> from penchant.lab import ipo_optimum
        >>> half, always = torch.tensor([[0.5, 0.5]]), torch.tensor([[[0.5, 1.0], [0.0, 0.5]]])
        >>> ipo_optimum(half, always, torch.ones(1, 2, 2), beta=0.5)  # sigmoid(1 / (2 beta)) for the winner
        tensor([[0.7311, 0.2689]])

    Reference:
        A General Theoretical Paradigm to Understand Learning from Human Preferences, arXiv 2310.12036, section 5.
    """
    target_XYY = (2 * preference_XYY - 1) / (2 * positive(beta))
    weight_XYY = sampling_XYY + sampling_XYY.transpose(1, 2)
    weight_XYY = weight_XYY - torch.diag_embed(torch.diagonal(weight_XYY, dim1=1, dim2=2))
    laplacian_XYY = torch.diag_embed(weight_XYY.sum(2)) - weight_XYY
    # The pseudo-inverse removes the constant vector, which a softmax ignores.
    log_ratio_XY = (torch.linalg.pinv(laplacian_XYY, hermitian=True) @ (weight_XYY * target_XYY).sum(2)[..., None])[
        ..., 0
    ]
    return torch.softmax(reference_XY.log() + log_ratio_XY, dim=1)


def positive(beta: float) -> float:
    """Return beta; ValueError if it is not above 0."""
    if not beta > 0:
        raise ValueError(f"beta must be greater than 0, got {beta}")
    return beta
