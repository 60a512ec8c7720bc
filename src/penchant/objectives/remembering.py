"""Objectives that compare a batch with earlier ones, by running means without a gradient.

The memory is a vector of S numbers: memory <- 0.9 memory + 0.1 (statistics of this batch), then the losses are computed
with it. Shapes: B pairs, S numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from penchant.objectives.batch import PairBatch
from penchant.objectives.objective import BETA, Memory, Objective, Paper, Parameter

__all__ = ["ROWS", "Remembering", "alpha_dpo", "beta_dpo"]

KEPT = 0.9
"""Decay of the memory per batch, as in both papers' code."""


@dataclass
class Remembering:
    """An objective with its memory: a function of a batch, whose statistics `keep` stores.

    A call changes only `after`, the memory updated with that batch; before the first `keep` the memory has its initial
    values.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> loss = bind("beta_dpo", beta=0.1, alpha=0.6)
        >>> before = loss(batch)
        >>> for _ in range(100):
        ...     loss.keep(), loss(batch)  # doctest: +ELLIPSIS
        (None, ...
        >>> loss(batch) > before  # the first batch, above the initial mean, raised beta
        tensor([True])
    """

    function: Callable[[PairBatch, PairBatch, Tensor], Tensor]
    measure: Callable[[PairBatch], Tensor]
    start: Sequence[float]
    memory_S: Tensor | None = None
    after_S: Tensor | None = None

    def __call__(self, batch: PairBatch) -> Tensor:
        """The losses, (B,), with the memory updated by this batch."""
        still = without_gradient(batch)
        now_S = self.measure(still)
        before_S = now_S.new_tensor(self.start) if self.memory_S is None else self.memory_S.to(now_S)
        self.after_S = torch.lerp(now_S, before_S, KEPT)
        return self.function(batch, still, self.after_S)

    def keep(self) -> None:
        """Store the memory of the last call, after a training step. Non-finite values are discarded."""
        if self.after_S is not None and bool(self.after_S.isfinite().all()):
            self.memory_S = self.after_S


def without_gradient(batch: PairBatch) -> PairBatch:
    """The same batch, detached. ValueError without a reference.

    Example:
        >>> import torch
        >>> batch = PairBatch.hard(*torch.ones(6, 1, requires_grad=True))
        >>> without_gradient(batch).delta_B.requires_grad
        False
    """
    reference_chosen_B, reference_rejected_B = batch.reference
    return replace(
        batch,
        policy_chosen_B=batch.policy_chosen_B.detach(),
        policy_rejected_B=batch.policy_rejected_B.detach(),
        reference_chosen_B=reference_chosen_B.detach(),
        reference_rejected_B=reference_rejected_B.detach(),
    )


def alpha_dpo(
    batch: PairBatch, still: PairBatch, memory_S: Tensor, *, beta: float, gamma: float, alpha: float
) -> Tensor:
    """-logsigmoid(beta (w / |w| - l / |l| - alpha z) - gamma), z = (d - mean) / sd, d = s_w / |w| - s_l / |l|.

    simpo with a target margin that grows with how far the policy already separates the pair, relative to the reference:
    a pair ahead of the others gets a larger margin, one behind a smaller one. No gradient flows through z; mean and
    standard deviation are running ones.

    Args:
        batch: B pairs with a reference, lengths of at least one token, and hard labels.
        still: the same batch, detached.
        memory_S: mean and standard deviation of d over the batches.
        beta: scale of the reward, > 0.
        gamma: the target margin in units of reward, >= 0.
        alpha: what one standard deviation of d adds to the margin, in nats per token, >= 0; 0 is simpo.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("alpha_dpo", beta=2.0, gamma=1.0, alpha=0.0)(batch)  # as simpo
        tensor([0.2204])

    Reference:
        AlphaDPO: Adaptive Reward Margin for Direct Preference Optimization, arXiv 2410.10148; with alpha scaled as in
        the authors' code, and a running standard deviation that starts at 1 instead of 0.
    """
    mean, sd = memory_S.unbind()
    z_B = (_lead_B(still) - mean) / sd
    chosen_B = batch.policy_chosen_B / batch.length_chosen_B
    rejected_B = batch.policy_rejected_B / batch.length_rejected_B
    return -F.logsigmoid(beta * (chosen_B - rejected_B - alpha * z_B) - gamma)


def beta_dpo(batch: PairBatch, still: PairBatch, memory_S: Tensor, *, beta: float, alpha: float) -> Tensor:
    """-logsigmoid(b D), b = max(beta (1 + alpha (mean of D over the batch - running mean)), 0.001).

    A batch whose pairs are separated more clearly than earlier ones gets a larger beta and moves the policy less; a
    batch of close pairs gets a smaller one. No gradient flows through b.

    Args:
        batch: B pairs with a reference and hard labels.
        still: the same batch, detached.
        memory_S: the running mean of D over the batches, one number.
        beta: strength of the pull to the reference for an average batch, > 0.
        alpha: relative change of beta per nat of difference, >= 0; 0 is dpo.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("beta_dpo", beta=0.1, alpha=0.0)(batch)  # as dpo
        tensor([0.5981])

    Reference:
        beta-DPO: Direct Preference Optimization with Dynamic beta, arXiv 2407.08639, batch-level beta; without its
        filter, which leaves out a random fifth of every batch.
    """
    change = 1 + alpha * (_mean(still.delta_B) - memory_S[0])
    return -F.logsigmoid((beta * change).clamp(min=1e-3) * batch.delta_B)


def _lead_B(batch: PairBatch) -> Tensor:
    return batch.log_ratio_chosen_B / batch.length_chosen_B - batch.log_ratio_rejected_B / batch.length_rejected_B


def _mean(x: Tensor) -> Tensor:
    return x.sum() / max(len(x), 1)


def _lead_and_spread(still: PairBatch) -> Tensor:
    """Mean and standard deviation of d, (2,); for fewer than two pairs the deviation is 0."""
    d_B = _lead_B(still)
    mean = _mean(d_B)
    return torch.stack([mean, ((d_B - mean).square().sum() / max(len(d_B) - 1, 1)).sqrt()])


def _mean_delta(still: PairBatch) -> Tensor:
    return _mean(still.delta_B)[None]


ROWS = (
    Objective(
        "alpha_dpo",
        alpha_dpo,
        formula="-logsigmoid(beta (log pi_w/len_w - log pi_l/len_l - alpha z) - gamma), "
        "z = (s_w/len_w - s_l/len_l) standardised by running mean and deviation",
        paper=Paper("AlphaDPO", "2410.10148", "adaptive margin, as in the authors' code"),
        when="Like simpo, with a larger margin for pairs already separated (unlike dpo_alpha, a divergence).",
        parameters={
            "beta": BETA.at(2.5),
            "gamma": Parameter(1.5, "target margin, in units of reward", at_least=0),
            "alpha": Parameter(0.2, "margin added per standard deviation, in nats per token", at_least=0),
        },
        normalisation="mean",
        batch_coupled=True,
        memory=Memory(_lead_and_spread, (0.0, 1.0)),
    ),
    Objective(
        "beta_dpo",
        beta_dpo,
        formula="-logsigmoid(b D), b = max(beta (1 + alpha (mean D of the batch - its running mean)), 0.001)",
        paper=Paper("beta-DPO", "2407.08639", "batch-level beta, without the filter"),
        when="When batches differ much in how clear their pairs are.",
        parameters={
            "beta": BETA,
            "alpha": Parameter(0.6, "relative change of beta per nat of difference", at_least=0),
        },
        batch_coupled=True,
        memory=Memory(_mean_delta, (0.0,)),
    ),
)
