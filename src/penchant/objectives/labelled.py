"""Objectives of single responses that are labelled good or bad.

Notation: s = log pi(y | x) - log pi_ref(y | x), r = beta s the implicit reward. Shapes: R responses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from penchant.objectives.objective import BETA, LabelledObjective, Paper, Parameter

__all__ = ["ROWS", "LabelledBatch", "LabelledFunction", "bco", "kto", "mean_kl", "reward_shift"]


@dataclass(frozen=True)
class LabelledBatch:
    """R responses, each reduced to its log-probs and its label.

    Args:
        policy_R: log-prob of the response under the policy, summed over completion tokens, in nats.
        reference_R: the same under the reference.
        desirable_R: True for a good response, False for a bad one.
        weight_R: weight of the response. No objective reads it; the code that averages the losses does.
        baseline: the zero point of rewards, in units of reward, a scalar; see `mean_kl` and `reward_shift`.

    Raises:
        ValueError: a tensor is not of shape (R,), the labels are not boolean, or the baseline is no scalar.

    Example:
        >>> import torch
        >>> from penchant.objectives import LabelledBatch
        >>> one = torch.ones(2)
        >>> LabelledBatch(-9 * one, -10 * one, torch.tensor([True, False]), one, torch.tensor(0.0)).log_ratio_R
        tensor([1., 1.])
    """

    policy_R: Tensor
    reference_R: Tensor
    desirable_R: Tensor
    weight_R: Tensor
    baseline: Tensor

    def __post_init__(self) -> None:
        shape = self.policy_R.shape
        if len(shape) != 1:
            raise ValueError(f"policy_R has shape {tuple(shape)}; give one number a response, shape (R,)")
        for field in fields(self)[:-1]:
            tensor = getattr(self, field.name)
            if tensor.shape != shape:
                raise ValueError(
                    f"{field.name} has shape {tuple(tensor.shape)} but policy_R has {tuple(shape)}; give every field "
                    "one number a response, shape (R,)"
                )
        if self.desirable_R.dtype is not torch.bool:
            raise ValueError(f"desirable_R is of {self.desirable_R.dtype}; give True for good and False for bad")
        if self.baseline.ndim:
            raise ValueError(f"baseline has shape {tuple(self.baseline.shape)}; give one number for all responses")

    @property
    def log_ratio_R(self) -> Tensor:
        """s = log pi(y) - log pi_ref(y), shape (R,), in nats."""
        return self.policy_R - self.reference_R

    @property
    def sign_R(self) -> Tensor:
        """1 for a good response, -1 for a bad one, shape (R,)."""
        return torch.where(self.desirable_R, 1.0, -1.0).to(self.policy_R.dtype)


LabelledFunction = Callable[[LabelledBatch], Tensor]
"""An objective with its parameters set: maps R labelled responses to losses of shape (R,)."""


def kto(batch: LabelledBatch, *, beta: float, desirable_weight: float, undesirable_weight: float) -> Tensor:
    """Kahneman-Tversky optimisation: w (1 - sigmoid(+-(r - z))), + for good, - for bad, z the baseline.

    The value of a response is its gain over what the policy gives anyway: z estimates beta KL(pi || pi_ref), and no
    gradient flows through it. Gains and losses saturate, like the value function of prospect theory.

    Args:
        batch: R labelled responses; `baseline` from `mean_kl`.
        beta: strength of the pull to the reference, > 0.
        desirable_weight: weight of good responses, lambda_D, >= 0.
        undesirable_weight: weight of bad responses, lambda_U, >= 0; the paper keeps
            lambda_D n_D / (lambda_U n_U) between 1 and 3/2 if the labels are imbalanced.

    Returns:
        Tensor of shape (R,); at initialisation each entry is half its weight.

    Example:
        >>> import torch
        >>> from penchant.objectives import LabelledBatch, bind
        >>> one = torch.ones(2)
        >>> batch = LabelledBatch(-9 * one, -10 * one, torch.tensor([True, False]), one, torch.tensor(0.0))
        >>> bind("kto", beta=0.1)(batch)
        tensor([0.4750, 0.5250])

    Reference:
        KTO: Model Alignment as Prospect Theoretic Optimization, arXiv 2402.01306, the KTO loss of section 4.
    """
    weights = batch.policy_R.new_tensor([undesirable_weight, desirable_weight])
    weight_R = weights[batch.desirable_R.long()]
    return weight_R * torch.sigmoid(-batch.sign_R * (beta * batch.log_ratio_R - batch.baseline))


def bco(batch: LabelledBatch, *, beta: float) -> Tensor:
    """Binary classifier optimisation: -logsigmoid(+-(r - shift)), + for good, - for bad, where shift is the baseline.

    A classifier of good against bad whose logit is the implicit reward. The shift, the midpoint of the mean rewards of
    the two classes, brings the loss close to that of dpo; no gradient flows through it.

    Args:
        batch: R labelled responses; `baseline` from `reward_shift`.
        beta: strength of the pull to the reference, > 0.

    Returns:
        Tensor of shape (R,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import LabelledBatch, bind
        >>> one = torch.ones(2)
        >>> batch = LabelledBatch(-9 * one, -10 * one, torch.tensor([True, False]), one, torch.tensor(0.1))
        >>> bind("bco", beta=0.1)(batch)
        tensor([0.6931, 0.6931])

    Reference:
        Binary Classifier Optimization for Large Language Model Alignment, arXiv 2404.04656, the loss with its shift.
    """
    return -F.logsigmoid(batch.sign_R * (beta * batch.log_ratio_R - batch.baseline))


def mean_kl(reward_R: Tensor, _desirable_R: Tensor) -> Tensor:
    """The baseline of `kto`: mean reward of mismatched responses, at least 0, a scalar without a gradient.

    reward_R: beta times the log-ratio of mismatched prompts and responses, shape (R,). Their mean estimates
    beta KL(pi || pi_ref), which is not negative. It is 0 if there are no responses.

    Example:
        >>> import torch
        >>> from penchant.objectives import mean_kl
        >>> mean_kl(torch.tensor([0.5, -0.1]), torch.tensor([True, False])), mean_kl(-torch.ones(1), torch.ones(1))
        (tensor(0.2000), tensor(0.))

    Reference:
        arXiv 2402.01306, section 4.1.
    """
    return _mean(reward_R.detach()).clamp(min=0)


def reward_shift(reward_R: Tensor, desirable_R: Tensor) -> Tensor:
    """The baseline of `bco`: the midpoint of the mean rewards of good and bad responses, a scalar.

    reward_R: beta times the log-ratios, shape (R,). desirable_R: their labels. If one class is absent, the mean of the
    other is used. The paper averages over training steps; this uses one batch. No gradient.

    Example:
        >>> import torch
        >>> from penchant.objectives import reward_shift
        >>> reward_shift(torch.tensor([1.0, 3.0, -1.0]), torch.tensor([True, True, False]))
        tensor(0.5000)

    Reference:
        arXiv 2404.04656, the reward shift delta.
    """
    reward_R = reward_R.detach()
    kinds = [reward_R[desirable_R], reward_R[~desirable_R]]
    return _mean(torch.stack([_mean(kind) for kind in kinds if len(kind)] or [reward_R.sum()]))


def _mean(x: Tensor) -> Tensor:
    return x.sum() / max(len(x), 1)


ROWS = (
    LabelledObjective(
        "kto",
        kto,
        formula="w (1 - sigmoid(beta s - z)) if good, w (1 - sigmoid(z - beta s)) if bad, z = beta max(0, KL)",
        paper=Paper("KTO: Model Alignment as Prospect Theoretic Optimization", "2402.01306", "KTO loss"),
        when="For single responses with a thumbs up or down; noisy or imbalanced labels.",
        parameters={
            "beta": BETA,
            "desirable_weight": Parameter(1.0, "weight of good responses", at_least=0),
            "undesirable_weight": Parameter(1.0, "weight of bad responses", at_least=0),
        },
        baseline=mean_kl,
        mismatched=True,
    ),
    LabelledObjective(
        "bco",
        bco,
        formula="-logsigmoid(beta s - d) if good, -logsigmoid(d - beta s) if bad, d = (mean good + mean bad) / 2",
        paper=Paper("Binary Classifier Optimization", "2404.04656", "with the shift"),
        when="For single responses with a thumbs up or down, to similar prompts.",
        parameters={"beta": BETA},
        baseline=reward_shift,
        mismatched=False,
    ),
)
