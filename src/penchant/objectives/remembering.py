"""Objectives that measure a batch by those before it: running means that no gradient flows through.

What is remembered is a row of numbers S: memory <- 0.9 memory + 0.1 (numbers of this batch), then the losses are taken
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
"""Of the memory, from batch to batch; both papers' code."""


@dataclass
class Remembering:
    """An objective with its memory: a function of a batch, which remembers what `keep` tells it to.

    Calling it changes nothing but `after`, the memory as it is with that batch; before the first `keep` the memory is
    where it starts.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> loss = bind("beta_dpo", beta=0.1, alpha=0.6)
        >>> before = loss(batch)
        >>> for _ in range(100):
        ...     loss.keep(), loss(batch)  # doctest: +ELLIPSIS
        (None, ...
        >>> loss(batch) > before  # beta was raised by a batch that was above all before it
        tensor([True])
    """

    function: Callable[[PairBatch, PairBatch, Tensor], Tensor]
    measure: Callable[[PairBatch], Tensor]
    start: Sequence[float]
    memory_S: Tensor | None = None
    after_S: Tensor | None = None

    def __call__(self, batch: PairBatch) -> Tensor:
        """The losses, (B,), with the memory as this batch leaves it."""
        still = without_gradient(batch)
        now_S = self.measure(still)
        before_S = now_S.new_tensor(self.start) if self.memory_S is None else self.memory_S.to(now_S)
        self.after_S = torch.lerp(now_S, before_S, KEPT)
        return self.function(batch, still, self.after_S)

    def keep(self) -> None:
        """Remember the batch of the last call: it was trained on. One whose numbers are not finite is forgotten."""
        if self.after_S is not None and bool(self.after_S.isfinite().all()):
            self.memory_S = self.after_S


def without_gradient(batch: PairBatch) -> PairBatch:
    """The same numbers, through which no gradient flows. ValueError without a reference.

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

    simpo whose target margin grows with how far the policy has already told the pair apart, beyond the reference: a
    pair that is ahead of the others is asked for more, one that is behind for less. No gradient flows through z; mean
    and standard deviation are running ones.

    Args:
        batch: B pairs with a reference, lengths of at least one token, and hard labels.
        still: the same without a gradient.
        memory_S: mean and standard deviation of d over the batches.
        beta: scale of the reward, > 0.
        gamma: the target margin in units of reward, >= 0.
        alpha: how much of a standard deviation of d, in nats a token, is added to the margin, >= 0; 0 is simpo.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("alpha_dpo", beta=2.0, gamma=1.0, alpha=0.0)(batch)  # as simpo
        tensor([0.2204])

    Reference:
        AlphaDPO: Adaptive Reward Margin for Direct Preference Optimization, arXiv 2410.10148; with the scale of alpha
        that the authors' code has, and a running standard deviation that starts at 1 rather than 0.
    """
    mean, sd = memory_S.unbind()
    z_B = (_lead_B(still) - mean) / sd
    chosen_B = batch.policy_chosen_B / batch.length_chosen_B
    rejected_B = batch.policy_rejected_B / batch.length_rejected_B
    return -F.logsigmoid(beta * (chosen_B - rejected_B - alpha * z_B) - gamma)


def beta_dpo(batch: PairBatch, still: PairBatch, memory_S: Tensor, *, beta: float, alpha: float) -> Tensor:
    """-logsigmoid(b D), b = max(beta (1 + alpha (mean of D over the batch - running mean)), 0.001).

    A batch whose pairs are told apart more clearly than those before it gets a larger beta and moves the policy less
    far; one of close pairs a smaller one. No gradient flows through b.

    Args:
        batch: B pairs with a reference and hard labels.
        still: the same without a gradient.
        memory_S: the running mean of D over the batches, one number.
        beta: strength of the pull to the reference where a batch is like those before, > 0.
        alpha: how much a nat of difference changes beta, as a share of it, >= 0; 0 is dpo.

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
    """Mean and standard deviation of d, (2,); of fewer than two pairs the deviation is 0."""
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
        when="simpo, with a margin that asks more of pairs that are already told apart (not dpo_alpha, a divergence).",
        parameters={
            "beta": BETA.at(2.5),
            "gamma": Parameter(1.5, "target margin, in units of reward", at_least=0),
            "alpha": Parameter(0.2, "what a standard deviation adds to the margin, in nats a token", at_least=0),
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
        when="Batches differ much in how clear their pairs are.",
        parameters={
            "beta": BETA,
            "alpha": Parameter(0.6, "how much a nat of difference changes beta, as a share of it", at_least=0),
        },
        batch_coupled=True,
        memory=Memory(_mean_delta, (0.0,)),
    ),
)
