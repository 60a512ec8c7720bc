"""The same tensors through TRL's own loss code: wherever TRL has a loss, ours gives its value and gradient."""

from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch

from penchant.objectives import OBJECTIVES, LabelledBatch, PairBatch, bind, bind_token_weights, mean_kl, wpo_weight
from penchant.objectives.table import TRL_NAMES

LENGTHS = torch.tensor([[3, 7], [1, 2], [5, 5]])
"""Completion tokens, chosen and rejected, of three pairs."""
TOKENS = 8
TRL_LOSSES = {
    **{name: name for name in ("hinge", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot")},
    **{name: name for name in ("aot_unpaired", "apo_zero", "apo_down", "discopop", "sft")},
    **TRL_NAMES,
}
NEITHER = {"ld_alpha": None, "use_weighting": False}
DIVERGENCES = {"forward_kl": "dpo_forward_kl", "js_divergence": "dpo_js", "alpha_divergence": "dpo_alpha"}


@pytest.fixture(scope="module")
def trl_loss():
    """A function that runs TRL's `_compute_loss` on given token log-probs."""
    pytest.importorskip("trl", reason="TRL is the oracle here; install the extra `oracle`")
    from trl.trainer.dpo_trainer import DPOTrainer

    def loss(loss_type, token_logps, mask, reference, **settings):
        flat = torch.zeros_like(token_logps)
        outputs = SimpleNamespace(
            log_probs=token_logps,
            entropy=flat,
            mean_logits=flat,
            is_top1=flat.bool(),
            log_sum_sq_probs=settings.pop("collision", flat),
        )
        trainer = SimpleNamespace(
            model=SimpleNamespace(training=False),
            accelerator=SimpleNamespace(device="cpu", gather=lambda x: x, gather_for_metrics=lambda x: x),
            aux_loss_enabled=False,
            precompute_ref_logps=True,
            loss_types=[loss_type],
            loss_weights=[1.0],
            args=SimpleNamespace(discopop_tau=settings.pop("tau", 0.05)),
            _metrics=defaultdict(lambda: defaultdict(list)),
            _total_train_tokens=0,
            **{
                "f_divergence_type": "reverse_kl",
                "f_alpha_divergence_coef": 0.5,
                "label_smoothing": 0.0,
                **NEITHER,
                **settings,
            },
        )
        whole = torch.cat([torch.zeros(len(mask), 1, dtype=mask.dtype), mask], dim=1)
        inputs = {
            "input_ids": torch.zeros_like(whole),
            "attention_mask": torch.ones_like(whole),
            "completion_mask": whole,
            "ref_chosen_logps": reference[: len(reference) // 2],
            "ref_rejected_logps": reference[len(reference) // 2 :],
        }
        return DPOTrainer._compute_loss(trainer, lambda **_: outputs, inputs, False)

    return loss


def case():
    """Token log-probs (2B, T) with their mask, chosen rows first, and the reference's sums (2B,)."""
    generator = torch.Generator().manual_seed(7)
    mask = (torch.arange(TOKENS) < LENGTHS.t().reshape(-1, 1)).long()
    token_logps = -3 * torch.rand(len(mask), TOKENS, generator=generator, dtype=torch.float64) * mask
    reference = token_logps.sum(1) + torch.randn(len(mask), generator=generator, dtype=torch.float64)
    return token_logps.requires_grad_(), mask, reference


def ours(name, token_logps, reference, **parameters):
    chosen_B, rejected_B = token_logps.sum(1).chunk(2)
    reference_chosen_B, reference_rejected_B = reference.chunk(2)
    lengths = LENGTHS.double().unbind(1)
    batch = PairBatch.hard(chosen_B, rejected_B, reference_chosen_B, reference_rejected_B, *lengths)
    return bind(name, **parameters)(batch).mean()


@pytest.mark.parametrize("beta", [0.1, 1.5])
@pytest.mark.parametrize("trl_name", [name for name in TRL_LOSSES if name != "sft"])
def test_value_and_gradient_are_those_of_trl(trl_loss, trl_name, beta):
    token_logps, mask, reference = case()
    row = OBJECTIVES[TRL_LOSSES[trl_name]]
    extra = {key: 0.2 for key in ("label_smoothing", "tau") if key in row.defaults}
    theirs = trl_loss(trl_name, token_logps, mask, reference, beta=beta, **extra)
    mine = ours(row.name, token_logps, reference, beta=beta, **extra)
    assert mine.item() == pytest.approx(theirs.item(), rel=1e-6, abs=1e-12)
    gradients = [torch.autograd.grad(loss, token_logps)[0] for loss in (mine, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-12)


def test_alpha_is_one_minus_trls(trl_loss):
    token_logps, mask, reference = case()
    coefficient = {"f_divergence_type": "alpha_divergence", "f_alpha_divergence_coef": 0.2}
    theirs = trl_loss("sigmoid", token_logps.float(), mask, reference.float(), beta=0.4, **coefficient)
    mine = ours("dpo_alpha", token_logps, reference, beta=0.4, divergence_alpha=0.8)
    assert mine.item() == pytest.approx(theirs.item(), rel=1e-6)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_the_divergences_are_those_of_trl(trl_loss, divergence):
    token_logps, mask, reference = case()
    single = divergence == "alpha_divergence"  # which TRL computes in float32, whatever it is given
    given = (token_logps.float(), mask, reference.float()) if single else (token_logps, mask, reference)
    theirs = trl_loss("sigmoid", *given, beta=0.4, f_divergence_type=divergence)
    mine = ours(DIVERGENCES[divergence], token_logps, reference, beta=0.4)
    assert mine.item() == pytest.approx(theirs.item(), rel=1e-6 if single else 1e-12)


def test_length_desensitisation_is_that_of_trl(trl_loss):
    token_logps, mask, reference = case()
    theirs = trl_loss("sigmoid", token_logps, mask, reference, beta=0.4, ld_alpha=0.3)
    weights = bind_token_weights("ld_dpo", ld_alpha=0.3)
    lengths = [(int(own), int(other)) for own, other in torch.cat([LENGTHS, LENGTHS.flip(1)])]
    rows = [weights(own, other) for own, other in lengths]
    weighted = token_logps * torch.stack([torch.nn.functional.pad(row, (0, TOKENS - len(row))) for row in rows])
    mine = ours("ld_dpo", weighted, reference, beta=0.4)
    assert mine.item() == pytest.approx(theirs.item(), rel=1e-6)
    gradients = [torch.autograd.grad(loss, token_logps)[0] * mask for loss in (mine, theirs)]  # TRL's padding is 0
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-9)


def test_wpo_weighs_pairs_as_trl_does(trl_loss):
    token_logps, mask, reference = case()
    collision = -torch.rand(token_logps.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    theirs = trl_loss("sigmoid", token_logps, mask, reference, beta=0.4, use_weighting=True, collision=collision)
    alignment = ((token_logps - collision) * mask).sum(1) / mask.sum(1)
    chosen_B, rejected_B = token_logps.sum(1).chunk(2)
    batch = PairBatch.hard(chosen_B, rejected_B, *reference.chunk(2), *LENGTHS.double().unbind(1))
    mine = (wpo_weight(*alignment.chunk(2)) * bind("dpo", beta=0.4)(batch)).mean()
    assert mine.item() == pytest.approx(theirs.item(), rel=1e-6)
    gradients = [torch.autograd.grad(loss, token_logps)[0] for loss in (mine, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-12)


def test_kto_is_that_of_trl():
    pytest.importorskip("trl", reason="TRL is the oracle here; install the extra `oracle`")
    from trl.trainer.kto_trainer import KTOTrainer

    token_logps, mask, reference = case()
    mismatched, mismatched_reference = torch.tensor([[-3.0, -4.0, -9.0], [-5.0, -4.5, -9.5]]).double()
    label = torch.tensor([True, False, False, True, True, False])
    flat = torch.zeros_like(token_logps)
    outputs = SimpleNamespace(log_probs=token_logps, entropy=flat, mean_logits=flat, is_top1=flat.bool())
    whole = torch.cat([torch.zeros(len(mask), 1, dtype=mask.dtype), mask], dim=1)
    trainer = SimpleNamespace(
        model=SimpleNamespace(training=False),
        accelerator=SimpleNamespace(device="cpu", gather_for_metrics=lambda x: x),
        aux_loss_enabled=False,
        precompute_ref_logps=True,
        calculate_KL=True,
        beta=0.4,
        loss_type="kto",
        desirable_weight=1.2,
        undesirable_weight=0.8,
        _compute_kl_logps=lambda *_: mismatched,
        _metrics=defaultdict(lambda: defaultdict(list)),
        _total_train_tokens=0,
    )
    inputs = {
        "input_ids": torch.zeros_like(whole),
        "attention_mask": torch.ones_like(whole),
        "completion_mask": whole,
        "label": label,
        "ref_logps": reference,
        "ref_KL_logps": mismatched_reference,
    }
    theirs = KTOTrainer._compute_loss(trainer, lambda **_: outputs, inputs, False)
    baseline = mean_kl(0.4 * (mismatched - mismatched_reference), torch.ones(3))
    assert baseline > 0
    batch = LabelledBatch(token_logps.sum(1), reference, label, torch.ones_like(reference), baseline)
    mine = bind("kto", beta=0.4, desirable_weight=1.2, undesirable_weight=0.8)(batch).mean()
    assert mine.item() == pytest.approx(theirs.item(), rel=1e-6)
    gradients = [torch.autograd.grad(loss, token_logps)[0] for loss in (mine, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-12)


def test_the_sft_term_is_trls_up_to_how_responses_of_unlike_length_are_averaged(trl_loss):
    token_logps, mask, reference = case()
    theirs = trl_loss("sft", token_logps[[0, 3]], mask[[0, 3]], reference[[0, 3]], beta=0.1)
    mine = -token_logps[0].sum() / LENGTHS[0, 0]
    assert theirs.item() == pytest.approx(mine.item(), rel=1e-12), "one pair: the mean over its tokens"


def test_trl_ignores_label_smoothing_under_sigmoid_which_is_why_the_name_refuses_it(trl_loss):
    token_logps, mask, reference = case()
    plain, smoothed = (
        trl_loss("sigmoid", token_logps, mask, reference, beta=0.3, label_smoothing=e) for e in (0.0, 0.3)
    )
    assert torch.equal(plain, smoothed)
    with pytest.raises(ValueError, match=r"TRL's sigmoid takes label_smoothing and ignores it; use cdpo"):
        bind("sigmoid", label_smoothing=0.3)
