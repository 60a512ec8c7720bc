"""The same tensors through the loss code of TRL's RLOOTrainer and GRPOTrainer."""

from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch

from penchant.objectives import k3, policy_loss, token_weight

LENGTHS = torch.tensor([3, 1, 5, 2])
MAX_LENGTH = 6
MASK = (torch.arange(MAX_LENGTH) < LENGTHS[:, None]).long()
RESPONSE_OF_K = torch.arange(4)[:, None].expand_as(MASK)[MASK.bool()]
ADVANTAGE_R = torch.tensor([1.0, -0.5, 0.75, -1.25], dtype=torch.float64)
AGGREGATIONS = {"grpo": "mean", "bnpo": "token", "dapo": "token", "dr_grpo": "fixed", "luspo": "sum"}


@pytest.fixture
def logps():
    """Token log-probs of the policy, of the one that sampled and of the reference, shape (4, MAX_LENGTH)."""
    generator = torch.Generator().manual_seed(0)
    old, shift, away = torch.randn(3, 4, MAX_LENGTH, dtype=torch.float64, generator=generator).unbind()
    return (old + 0.3 * shift).requires_grad_(), old, old + 0.5 * away


def trl_loss(trainer, logps, old, **inputs):
    pytest.importorskip("trl", reason="TRL is the oracle here; install the extra `oracle`")
    from trl.trainer.grpo_trainer import GRPOTrainer
    from trl.trainer.rloo_trainer import RLOOTrainer

    kind = {"grpo": GRPOTrainer, "rloo": RLOOTrainer}[trainer.pop("kind")]
    stand_in = SimpleNamespace(
        model=SimpleNamespace(training=False),
        accelerator=SimpleNamespace(gather=lambda x: x, reduce=lambda x, reduction: x, num_processes=1),
        aux_loss_enabled=False,
        epsilon_low=0.2,
        epsilon_high=0.28,
        _metrics=defaultdict(lambda: defaultdict(list)),
        _get_per_token_logps_and_entropies=lambda *_, **__: (logps, torch.zeros_like(logps), None),
        **trainer,
    )
    return kind._compute_loss(
        stand_in,
        None,
        {
            "prompt_ids": torch.zeros(4, 1, dtype=torch.long),
            "prompt_mask": torch.ones(4, 1, dtype=torch.long),
            "completion_ids": torch.zeros_like(MASK),
            "completion_mask": MASK,
            "advantages": ADVANTAGE_R,
            "num_items_in_batch": MASK.sum(),
            **inputs,
        },
    )


def same_value_and_gradient(ours, theirs, logps):
    gradients = [torch.autograd.grad(loss, logps, retain_graph=True)[0] for loss in (ours, theirs)]
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)
    assert gradients[0].abs().max() > 0.01
    assert torch.allclose(*gradients, rtol=1e-12, atol=1e-15)


def aggregated(loss_K, aggregation):
    weight_R = token_weight(LENGTHS.double(), aggregation, max_length=MAX_LENGTH)
    return (weight_R[RESPONSE_OF_K] * loss_K).sum()


@pytest.mark.parametrize("loss_type", AGGREGATIONS)
@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_grpo_with_its_clipping_aggregation_and_kl_is_trls(logps, loss_type, beta):
    logprob, old, reference = logps
    settings = {
        "kind": "grpo",
        "loss_type": loss_type,
        "beta": beta,
        "top_entropy_quantile": 1.0,
        "off_policy_mask_threshold": None,
        "importance_sampling_level": "token",
        "use_vllm": False,
        "max_completion_length": MAX_LENGTH,
        "_entropy_bonus_enabled": False,
        "args": SimpleNamespace(delta=None, use_bias_correction_kl=False),
    }
    theirs = trl_loss(settings, logprob, old, old_per_token_logps=old, ref_per_token_logps=reference)
    logprob_K, old_K, reference_K = (x[MASK.bool()] for x in (logprob, old, reference))
    loss_K, _ = policy_loss(logprob_K, old_K, ADVANTAGE_R[RESPONSE_OF_K], RESPONSE_OF_K, clip=0.2, clip_high=0.28)
    ours = aggregated(loss_K + beta * k3(logprob_K - reference_K), AGGREGATIONS[loss_type])
    same_value_and_gradient(ours, theirs, logprob)


def test_the_mean_ratio_of_a_sequence_is_trls(logps):
    logprob, old, _ = logps
    settings = {
        "kind": "grpo",
        "loss_type": "grpo",
        "beta": 0.0,
        "top_entropy_quantile": 1.0,
        "off_policy_mask_threshold": None,
        "importance_sampling_level": "sequence",
        "use_vllm": False,
        "_entropy_bonus_enabled": False,
        "args": SimpleNamespace(delta=None),
    }
    theirs = trl_loss(settings, logprob, old, old_per_token_logps=old)
    loss_K, _ = policy_loss(
        logprob[MASK.bool()],
        old[MASK.bool()],
        ADVANTAGE_R[RESPONSE_OF_K],
        RESPONSE_OF_K,
        clip_high=0.28,
        ratio="sequence_mean",
    )
    same_value_and_gradient(aggregated(loss_K, "mean"), theirs, logprob)


def test_rloo_with_its_clipping_is_trls(logps):
    logprob, old, _ = logps
    theirs = trl_loss({"kind": "rloo"}, logprob, old, old_logps=(old * MASK).sum(1))
    loss_K, _ = policy_loss(
        logprob[MASK.bool()],
        old[MASK.bool()],
        ADVANTAGE_R[RESPONSE_OF_K],
        RESPONSE_OF_K,
        clip_high=0.28,
        ratio="sequence",
    )
    same_value_and_gradient(aggregated(loss_K, "sum"), theirs, logprob)
