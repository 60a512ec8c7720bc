"""PairBatch: the inputs of every pairwise preference objective, one entry per pair.

Shapes: B pairs.
"""
# Field names carry their shape, and `hard` takes as many tensors as a pair has.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

__all__ = ["PairBatch", "PairFunction"]


@dataclass(frozen=True)
class PairBatch:
    """B preference pairs, each reduced to its log-probs, lengths and label.

    Args:
        policy_chosen_B: log-prob of the chosen response under the policy, summed over completion tokens, in nats.
        policy_rejected_B: the same for the rejected response.
        reference_chosen_B: the same under the reference; None for objectives that need no reference.
        reference_rejected_B: the same for the rejected response; None exactly if `reference_chosen_B` is.
        length_chosen_B: number of completion tokens summed over, as a float, at least 1.
        length_rejected_B: the same for the rejected response.
        weight_B: weight of the pair. No objective reads it; the code that averages the losses does.
        probability_B: soft label p(chosen > rejected) in [0, 1]; 1 is a hard label.
        margin_B: how far the chosen reward should exceed the rejected one, in units of reward; 0 asks for no margin.
        kl_chosen_B: sequential KL of the chosen response, in nats: the KL of the reference's next-token distribution
            against the policy's, summed over completion tokens; None for objectives that do not read it.
        kl_rejected_B: the same for the rejected response; None exactly if `kl_chosen_B` is.

    Raises:
        ValueError: a tensor is not of shape (B,), or only one side has a reference or a KL.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch
        >>> one = torch.ones(1)
        >>> batch = PairBatch(-9 * one, -12 * one, -10 * one, -11 * one, 5 * one, 4 * one, one, one, 0 * one)
        >>> batch.delta_B
        tensor([2.])
    """

    policy_chosen_B: Tensor
    policy_rejected_B: Tensor
    reference_chosen_B: Tensor | None
    reference_rejected_B: Tensor | None
    length_chosen_B: Tensor
    length_rejected_B: Tensor
    weight_B: Tensor
    probability_B: Tensor
    margin_B: Tensor
    kl_chosen_B: Tensor | None = None
    kl_rejected_B: Tensor | None = None

    def __post_init__(self) -> None:
        shape = self.policy_chosen_B.shape
        if len(shape) != 1:
            raise ValueError(f"policy_chosen_B has shape {tuple(shape)}; give one number a pair, shape (B,)")
        for field in fields(self):
            tensor = getattr(self, field.name)
            # Broadcasting (B,) against (B, 1) would silently give a (B, B) loss.
            if tensor is not None and tensor.shape != shape:
                raise ValueError(
                    f"{field.name} has shape {tuple(tensor.shape)} but policy_chosen_B has {tuple(shape)}; "
                    "give every field one number a pair, shape (B,)"
                )
        if (self.reference_chosen_B is None) != (self.reference_rejected_B is None):
            raise ValueError("only one side of the pairs has reference log-probs; give both or neither")
        if (self.kl_chosen_B is None) != (self.kl_rejected_B is None):
            raise ValueError("only one side of the pairs has a sequential KL; give both or neither")

    @classmethod
    def hard(
        cls,
        policy_chosen_B: Tensor,
        policy_rejected_B: Tensor,
        reference_chosen_B: Tensor | None,
        reference_rejected_B: Tensor | None,
        length_chosen_B: Tensor,
        length_rejected_B: Tensor,
    ) -> PairBatch:
        """Pairs of weight 1 with hard labels (p = 1) and no margin.

        Example:
            >>> import torch
            >>> from penchant.objectives import PairBatch
            >>> PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]])).probability_B
            tensor([1.])
        """
        return cls(
            policy_chosen_B,
            policy_rejected_B,
            reference_chosen_B,
            reference_rejected_B,
            length_chosen_B,
            length_rejected_B,
            weight_B=torch.ones_like(policy_chosen_B),
            probability_B=torch.ones_like(policy_chosen_B),
            margin_B=torch.zeros_like(policy_chosen_B),
        )

    @property
    def reference(self) -> tuple[Tensor, Tensor]:
        """Log-probs of chosen and rejected under the reference, each (B,), in nats. ValueError without a reference."""
        return _present(self.reference_chosen_B), _present(self.reference_rejected_B)

    @property
    def log_ratio_chosen_B(self) -> Tensor:
        """log pi(chosen) - log pi_ref(chosen), shape (B,), in nats. ValueError without a reference."""
        return self.policy_chosen_B - _present(self.reference_chosen_B)

    @property
    def log_ratio_rejected_B(self) -> Tensor:
        """log pi(rejected) - log pi_ref(rejected), shape (B,), in nats. ValueError without a reference."""
        return self.policy_rejected_B - _present(self.reference_rejected_B)

    @property
    def delta_B(self) -> Tensor:
        """Chosen log-ratio minus rejected log-ratio, shape (B,), in nats. ValueError without a reference."""
        return self.log_ratio_chosen_B - self.log_ratio_rejected_B

    @property
    def sequential_kl(self) -> tuple[Tensor, Tensor]:
        """Sequential KL of chosen and rejected, each (B,), in nats. ValueError if it was not measured."""
        if self.kl_chosen_B is None or self.kl_rejected_B is None:
            raise ValueError(
                "this objective needs the sequential KL but the pairs have none; run the reference beside the policy"
            )
        return self.kl_chosen_B, self.kl_rejected_B

    def swap(self) -> PairBatch:
        """The same preferences with the two sides exchanged: p becomes 1 - p and the margin changes sign.

        An objective that reads the soft label gives the same loss for both. To reverse the preferences themselves
        (label noise), restore the label: `dataclasses.replace(batch.swap(), probability_B=batch.probability_B)`.

        Example:
            >>> import torch
            >>> from penchant.objectives import PairBatch, dpo
            >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
            >>> batch.swap().delta_B
            tensor([-2.])
            >>> torch.equal(dpo(batch.swap(), beta=0.1), dpo(batch, beta=0.1))
            True
        """
        return replace(
            self,
            policy_chosen_B=self.policy_rejected_B,
            policy_rejected_B=self.policy_chosen_B,
            reference_chosen_B=self.reference_rejected_B,
            reference_rejected_B=self.reference_chosen_B,
            length_chosen_B=self.length_rejected_B,
            length_rejected_B=self.length_chosen_B,
            probability_B=1 - self.probability_B,
            margin_B=-self.margin_B,
            kl_chosen_B=self.kl_rejected_B,
            kl_rejected_B=self.kl_chosen_B,
        )


PairFunction = Callable[[PairBatch], Tensor]
"""An objective with its parameters set: maps B pairs to losses of shape (B,)."""


def _present(reference_B: Tensor | None) -> Tensor:
    if reference_B is None:
        raise ValueError(
            "this objective needs reference log-probs but the pairs have none; run the reference model first"
        )
    return reference_B
