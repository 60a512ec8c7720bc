"""The tables of objectives: one row each. A row is all that the trainer, the page of the docs and the tests need.

Defaults are those of the papers where they name one. D is the difference of the log-ratios s_w and s_l, p the soft
label, m the margin, e label smoothing, len a number of completion tokens; see docs/objectives.md.
"""

from types import MappingProxyType

from penchant.objectives.auxiliary import sft
from penchant.objectives.coupled import aot, aot_unpaired
from penchant.objectives.divergences import chi_po, dpo_alpha, dpo_forward_kl, dpo_js
from penchant.objectives.labelled import bco, kto, mean_kl, reward_shift
from penchant.objectives.lengths import dpo_norm, r_dpo
from penchant.objectives.margin import discopop, exo_pair, hinge, robust
from penchant.objectives.objective import LabelledObjective, Objective, Paper
from penchant.objectives.onesided import apo_down, apo_zero, bco_pair, dpop, nca_pair, sppo_hard
from penchant.objectives.pairwise import cdpo, dpo, ipo_mean, ipo_sum
from penchant.objectives.referencefree import cpo, orpo, simpo
from penchant.objectives.token_weights import decaying, desensitised

__all__ = ["LABELLED_ROWS", "ROWS", "TRL_NAMES"]

_IPO = "A General Theoretical Paradigm to Understand Learning from Human Preferences"
_DIVERGENCES = "Beyond Reverse KL"
_APO = "Anchored Preference Optimization"
_AOT = "Distributional Preference Alignment of LLMs via Optimal Transport"

_SOFT = frozenset({"probability"})
_SOFT_AND_MARGIN = frozenset({"probability", "margin"})

ROWS = (
    Objective(
        "dpo",
        dpo,
        formula="-p logsigmoid(z) - (1-p) logsigmoid(-z), z = beta D - m",
        paper=Paper("Direct Preference Optimization", "2305.18290", "eq. 7"),
        when="The place to start: clean labels, or soft labels you trust.",
        defaults={"beta": 0.1},
        reads=_SOFT_AND_MARGIN,
    ),
    Objective(
        "cdpo",
        cdpo,
        formula="dpo with p replaced by p (1-e) + (1-p) e, e = label_smoothing",
        paper=Paper("A note on DPO with noisy preferences", "https://ericmitchell.ai/cdpo.pdf", "cDPO loss"),
        when="Annotators err at a known rate, or margins of dpo grow without end.",
        defaults={"beta": 0.1, "label_smoothing": 0.1},
        reads=_SOFT_AND_MARGIN,
    ),
    Objective(
        "robust",
        robust,
        formula="[-(1-e) logsigmoid(beta D) + e logsigmoid(-beta D)] / (1-2e), e = label_smoothing",
        paper=Paper("Provably Robust DPO", "2403.00409", "rDPO loss"),
        when="Labels were flipped at a rate you know well, and there are many: unbiased, of larger variance.",
        defaults={"beta": 0.1, "label_smoothing": 0.1},
    ),
    Objective(
        "hinge",
        hinge,
        formula="p relu(1-z) + (1-p) relu(1+z), z = beta D - m",
        paper=Paper("Statistical Rejection Sampling Improves Preference Optimization", "2309.06657", "hinge-norm"),
        when="Pairs that are told apart should rest.",
        defaults={"beta": 0.1},
        reads=_SOFT_AND_MARGIN,
    ),
    Objective(
        "ipo_sum",
        ipo_sum,
        formula="p (D - 1/(2 beta))^2 + (1-p) (D + 1/(2 beta))^2",
        paper=Paper(_IPO, "2310.12036", "eq. 17"),
        when="Few, near-certain labels that dpo overfits; the paper as printed, responses of similar length.",
        defaults={"beta": 0.1},
        reads=_SOFT,
    ),
    Objective(
        "ipo_mean",
        ipo_mean,
        formula="ipo_sum with D replaced by s_w / len_w - s_l / len_l",
        paper=Paper(_IPO, "2310.12036", "eq. 17, averaged over tokens"),
        when="As ipo_sum, but lengths differ; the IPO of TRL.",
        defaults={"beta": 0.1},
        reads=_SOFT,
        normalisation="mean",
    ),
    Objective(
        "exo_pair",
        exo_pair,
        formula="q (log q - log(1-e)) + (1-q) (log(1-q) - log e), q = sigmoid(beta D), e = label_smoothing",
        paper=Paper("Towards Efficient Exact Optimization of Language Model Alignment", "2402.00856", "eq. 16"),
        when="The policy should seek one mode of the optimum rather than cover it.",
        defaults={"beta": 0.1, "label_smoothing": 0.001},
    ),
    Objective(
        "discopop",
        discopop,
        formula="(1-g) (-logsigmoid(z)) + g exp(-z), z = beta D, g = sigmoid(z / tau)",
        paper=Paper("Discovering Preference Optimization Algorithms", "2406.08414", "eq. 5"),
        when="To compare with a loss that was searched for, not derived.",
        defaults={"beta": 0.05, "tau": 0.05},
    ),
    Objective(
        "nca_pair",
        nca_pair,
        formula="-logsigmoid(beta s_w) - (logsigmoid(-beta s_w) + logsigmoid(-beta s_l)) / 2",
        paper=Paper("Noise Contrastive Alignment", "2402.05369", "NCA, pairs"),
        when="The likelihood of chosen responses must not fall: reasoning, code.",
        defaults={"beta": 0.01},
    ),
    Objective(
        "bco_pair",
        bco_pair,
        formula="-logsigmoid(beta s_w) - logsigmoid(-beta s_l)",
        paper=Paper("Binary Classifier Optimization", "2404.04656", "without the shift"),
        when="Chosen is good and rejected is bad in themselves, not only beside each other.",
        defaults={"beta": 0.1},
    ),
    Objective(
        "sppo_hard",
        sppo_hard,
        formula="(s_w - 1/(2 beta))^2 + (s_l + 1/(2 beta))^2",
        paper=Paper("Self-Play Preference Optimization", "2405.00675", "eq. 4.7"),
        when="Rounds of self-play on fresh samples.",
        defaults={"beta": 0.001},
    ),
    Objective(
        "apo_zero",
        apo_zero,
        formula="1 - sigmoid(beta s_w) + sigmoid(beta s_l)",
        paper=Paper(_APO, "2408.06266", "eq. 7"),
        when="Chosen responses are better than what the model says by itself.",
        defaults={"beta": 0.1},
    ),
    Objective(
        "apo_down",
        apo_down,
        formula="sigmoid(beta s_w) + 1 - sigmoid(beta D)",
        paper=Paper(_APO, "2408.06266", "eq. 8"),
        when="Chosen responses are worse than what the model says by itself.",
        defaults={"beta": 0.1},
    ),
    Objective(
        "dpop",
        dpop,
        formula="-logsigmoid(beta (D - penalty max(0, -s_w)))",
        paper=Paper("Smaug: DPO-Positive", "2402.13228", "eq. 3"),
        when="The two sides differ in a few tokens, and dpo pulls both down.",
        defaults={"beta": 0.3, "penalty": 50.0},
    ),
    Objective(
        "dpo_norm",
        dpo_norm,
        formula="dpo with D replaced by s_w / len_w - s_l / len_l",
        paper=Paper("Tulu 3", "2411.15124", "eq. 6"),
        when="Lengths differ much and answers grow longer; beta is larger here.",
        defaults={"beta": 5.0},
        reads=_SOFT_AND_MARGIN,
        normalisation="mean",
    ),
    Objective(
        "r_dpo",
        r_dpo,
        formula="dpo with z = beta D + alpha (len_w - len_l) - m",
        paper=Paper("Disentangling Length from Quality in DPO", "2403.19159", "eq. 9"),
        when="People chose the longer answer too often.",
        defaults={"beta": 0.1, "alpha": 0.01},
        reads=_SOFT_AND_MARGIN,
    ),
    Objective(
        "ld_dpo",
        dpo,
        formula="dpo, where tokens past the shorter response's length count ld_alpha",
        paper=Paper("Length Desensitization in DPO", "2409.06411", "LD-DPO loss"),
        when="The longer response wins by being longer, but what it says first should count whole.",
        defaults={"beta": 0.1, "ld_alpha": 0.5},
        reads=_SOFT_AND_MARGIN,
        token_weights=desensitised,
        token_parameters=frozenset({"ld_alpha"}),
    ),
    Objective(
        "d2po",
        dpo,
        formula="dpo, where token t = 0, 1, ... of a response counts gamma^t",
        paper=Paper("Earlier Tokens Contribute More", "2502.14340", "D2PO loss"),
        when="Long responses that are decided early; answers grow longer.",
        defaults={"beta": 0.1, "gamma": 0.98},
        reads=_SOFT_AND_MARGIN,
        token_weights=decaying,
        token_parameters=frozenset({"gamma"}),
    ),
    Objective(
        "dpo_forward_kl",
        dpo_forward_kl,
        formula="dpo with s replaced by 1 - exp(-s)",
        paper=Paper(_DIVERGENCES, "2309.16240", "table 1"),
        when="Variety matters more than the last point of reward.",
        defaults={"beta": 0.1},
        reads=_SOFT_AND_MARGIN,
    ),
    Objective(
        "dpo_js",
        dpo_js,
        formula="dpo with s replaced by log 2 + logsigmoid(s)",
        paper=Paper(_DIVERGENCES, "2309.16240", "table 1"),
        when="Between forward and reverse KL.",
        defaults={"beta": 0.1},
        reads=_SOFT_AND_MARGIN,
    ),
    Objective(
        "dpo_alpha",
        dpo_alpha,
        formula="dpo with s replaced by (1 - exp(-divergence_alpha s)) / divergence_alpha",
        paper=Paper(_DIVERGENCES, "2309.16240", "table 1"),
        when="To choose the trade between dpo (0) and forward KL (1); TRL's f_alpha_divergence_coef is 1 minus it.",
        defaults={"beta": 0.1, "divergence_alpha": 0.5},
        retired={
            "alpha": "it was 1 minus the paper's alpha; write divergence_alpha, which is the paper's: 1 minus what "
            "alpha was, and 1 minus TRL's f_alpha_divergence_coef"
        },
        reads=_SOFT_AND_MARGIN,
    ),
    Objective(
        "chi_po",
        chi_po,
        formula="dpo with s replaced by exp(min(s, 20)) + s",
        paper=Paper("Correcting the Mythos of KL-Regularization", "2407.13399", "algorithm 1, without its clipping"),
        when="Long training on little data, where dpo over-optimises.",
        defaults={"beta": 0.1},
        reads=_SOFT_AND_MARGIN,
    ),
    Objective(
        "simpo",
        simpo,
        formula="-p logsigmoid(z-gamma) - (1-p) logsigmoid(-z-gamma), z = beta (log pi_w/len_w - log pi_l/len_l) - m",
        paper=Paper("SimPO", "2405.14734", "eq. 6"),
        when="No reference: half the forward passes, and the reward is what sampling maximises.",
        defaults={"beta": 2.0, "gamma": 1.0},
        reads=_SOFT_AND_MARGIN,
        needs_reference=False,
        normalisation="mean",
    ),
    Objective(
        "cpo",
        cpo,
        formula="dpo with z = beta log(pi_w / pi_l) - m, plus nll_weight (-p log pi_w/len_w - (1-p) log pi_l/len_l)",
        paper=Paper("Contrastive Preference Optimization", "2401.08417", "section 3"),
        when="No reference, chosen responses of high quality: translation.",
        defaults={"beta": 0.1, "nll_weight": 1.0},
        reads=_SOFT_AND_MARGIN,
        needs_reference=False,
    ),
    Objective(
        "orpo",
        orpo,
        formula="-log pi_w / len_w - odds_weight logsigmoid(log odds_w - log odds_l), q = exp(log pi / len)",
        paper=Paper("ORPO", "2403.07691", "eq. 6 and 7"),
        when="From a base model in one stage, without SFT before.",
        defaults={"odds_weight": 0.1},
        needs_reference=False,
        normalisation="mean",
    ),
    Objective(
        "aot",
        aot,
        formula="cdpo with D replaced by sort(log pi_w - log pi_l) - sort(the same of the reference), over the batch",
        paper=Paper(_AOT, "2406.05882", "paired"),
        when="The worst margins matter; large batches.",
        defaults={"beta": 0.1, "label_smoothing": 0.0},
        batch_coupled=True,
    ),
    Objective(
        "aot_unpaired",
        aot_unpaired,
        formula="cdpo with D replaced by sort(s_w) - sort(s_l), over the batch",
        paper=Paper(_AOT, "2406.05882", "unpaired"),
        when="Good and bad responses that do not share prompts; large batches.",
        defaults={"beta": 0.1, "label_smoothing": 0.0},
        batch_coupled=True,
    ),
    Objective(
        "sft",
        sft,
        formula="-log pi(chosen) / len_w",
        paper=Paper("Iterative Reasoning Preference Optimization", "2404.19733", "eq. 1, NLL term"),
        when="Added to another objective where the chosen log-prob falls.",
        needs_reference=False,
        normalisation="mean",
    ),
)

LABELLED_ROWS = (
    LabelledObjective(
        "kto",
        kto,
        formula="w (1 - sigmoid(beta s - z)) if good, w (1 - sigmoid(z - beta s)) if bad, z = beta max(0, KL)",
        paper=Paper("KTO: Model Alignment as Prospect Theoretic Optimization", "2402.01306", "KTO loss"),
        when="Single responses with a thumb up or down; noisy or unequal labels.",
        defaults={"beta": 0.1, "desirable_weight": 1.0, "undesirable_weight": 1.0},
        baseline=mean_kl,
        mismatched=True,
    ),
    LabelledObjective(
        "bco",
        bco,
        formula="-logsigmoid(beta s - d) if good, -logsigmoid(d - beta s) if bad, d = (mean good + mean bad) / 2",
        paper=Paper("Binary Classifier Optimization", "2404.04656", "with the shift"),
        when="Single responses with a thumb up or down, of one kind of prompt.",
        defaults={"beta": 0.1},
        baseline=reward_shift,
        mismatched=False,
    ),
)

TRL_NAMES = MappingProxyType({"sigmoid": "dpo", "ipo": "ipo_mean", "sigmoid_norm": "dpo_norm"})
"""What TRL calls differently and defines the same; its other names are the ones above."""
