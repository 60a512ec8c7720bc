"""Write docs/models.md: every family of causal language models in transformers, built small and run beside it.

`python docs/families.py` does all of them in some minutes; `python docs/families.py falcon gptj` prints those alone.
"""

from __future__ import annotations

import inspect
import re
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging

from penchant.errors import ModelError
from penchant.models.forward import score_sequences
from penchant.models.generate import Request, generate
from penchant.models.load import load_model
from penchant.models.numerics import Numerics
from penchant.models.sampler import SamplingParams
from penchant.tokens import TokenSequence
from penchant.wording import reason_of

PAGE = Path(__file__).parent / "models.md"
SHARED, UNSHARED, REFUSED, NOT_BUILT = "shared", "unshared", "refused", "not built"
HEAD = """# Models

Written by `make families` with transformers {transformers}. Every family of its causal language models was built
small with random weights, saved, loaded by Penchant and compared with plain transformers. Log-probs of several texts
agree to within a relative {gap:.0e}, gradients with respect to every weight to a thousandth, and eight tokens
generated after a prompt are identical.

Penchant decides how to run a model when it is loaded, from its configuration and by trying it, so families not listed
here are handled correctly too; `run.json` records the reason under `why_unshared`. A family that shares prefixes here
may not do so with another configuration: a sliding window shorter than the longest sequence, scaled logits, soft-capped
scores.
"""
SECTIONS = {
    SHARED: ("Shares prefixes", "A prompt is run once for all its responses, with exact results."),
    UNSHARED: (
        "Runs each sequence by itself",
        "These models run through their own code. Log-probs and gradients are correct; only the saving is lost.",
    ),
    REFUSED: ("Is refused", "`--model` refuses these in one sentence before anything else happens."),
    NOT_BUILT: (
        "Not tried",
        "The configuration of these families could not be made small here. Penchant still tries such a model when it "
        "is loaded.",
    ),
}
TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3
VOCABULARY = 96
SIZES = {
    32: "hidden_size n_embd d_model dim embedding_size",
    48: "intermediate_size ffn_dim n_inner ffn_hidden_size encoder_ffn_dim decoder_ffn_dim dim_feedforward dff dim_ff "
    "moe_intermediate_size expert_ffn_hidden_size shared_expert_intermediate_size intermediate_size_mlp expert_dim",
    16: "kv_lora_rank q_lora_rank",
    8: "head_dim qk_rope_head_dim qk_nope_head_dim qk_head_dim v_head_dim rotary_dim",
    4: "num_attention_heads n_head n_heads num_heads decoder_attention_heads encoder_attention_heads num_experts "
    "num_local_experts n_routed_experts moe_num_experts",
    2: "num_hidden_layers n_layer n_layers num_layers decoder_layers encoder_layers num_decoder_layers "
    "num_experts_per_tok num_experts_per_token moe_k moe_topk",
    1: "n_group topk_group",
    128: "max_position_embeddings n_positions max_seq_len n_ctx seq_length",
}
SMALL = {"vocab_size": VOCABULARY, "num_key_value_heads": 2} | {
    name: size for size, names in SIZES.items() for name in names.split()
}
OWN: dict[str, dict[str, Any]] = {
    "bamba": {"mamba_n_heads": 4, "mamba_d_head": 16, "attn_layer_indices": [1]},
    "cohere_compass_text": {
        "layer_types": ["sliding_attention", "full_attention"],
        "rope_parameters": {
            kind: {"rope_type": "default", "rope_theta": 1e4} for kind in ("sliding_attention", "full_attention")
        },
    },
    "dots1": {"n_shared_experts": 1},
    "gemma3n_text": {"num_kv_shared_layers": 0},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "granitemoehybrid": {"mamba_n_heads": 4, "mamba_d_head": 16, "layer_types": ["mamba", "attention"]},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "longcat_flash": {"qk_head_dim": 16},
    "mamba2": {"num_heads": 4, "head_dim": 16, "n_groups": 1},
    "reformer": {
        "is_decoder": True,
        "attn_layers": ["local", "local"],
        "axial_pos_shape": [8, 16],
        "axial_pos_embds_dim": [16, 16],
        "local_attn_chunk_length": 32,
    },
    "zamba": {"num_hidden_layers": 3, "layer_types": ["mamba", "hybrid", "hybrid"]},
    "zamba2": {"layer_types": ["mamba", "hybrid"], "attention_head_dim": 16, "attention_hidden_size": 64},
    "zaya": {"num_experts_per_tok": 1},
}
"""What a family needs beside small sizes."""


@dataclass(frozen=True)
class Finding:
    """What became of a family, and why where it is not the best. gap: relative difference from plain transformers."""

    family: str
    outcome: str
    reason: str = ""
    gap: float = 0.0

    @property
    def row(self) -> str:
        """A row of its outcome's table."""
        return f"| {self.family} | {MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[self.family]} | {self.reason} |"


def examine(family: str) -> Finding:
    """Build the family small, write it to a folder, load it and compare with plain transformers.

    What it scores and what it writes must be the same; AssertionError says where it is not.
    """
    try:
        network = build(family)
        with torch.no_grad():
            plain_scores(network)
    except Exception as error:
        return Finding(family, NOT_BUILT, reason_of(error).partition(" [")[0][:150])
    with tempfile.TemporaryDirectory() as scratch:
        network.save_pretrained(scratch)
        tokenizer().save_pretrained(scratch)
        try:
            model = load_model(scratch, Numerics(torch.device("cpu"), torch.float32), chat_template="plain")
        except ModelError as error:
            return Finding(family, REFUSED, str(error).replace(scratch, "").lstrip("/: ").partition("; ")[0])
        plain = AutoModelForCausalLM.from_pretrained(scratch, dtype=torch.float32, attn_implementation="eager").eval()
        with torch.no_grad():
            gap = relative(score_sequences(model, sequences()), plain_scores(plain))
        assert gap < TOLERANCE, f"{family}: log-probs differ by {gap:.1e}"
        written, expected = answer(model), plain_answer(plain)
        assert written == expected, f"{family}: writes {written} and plain transformers {expected}"
        untrainable = difference_of_gradients(model, plain)
    reason = re.sub(r" by \d[\d.]*e[+-]\d+", "", model.why_unshared)
    if not model.shares and not model.keeps:
        reason += "; and keeps nothing of what it ran while it writes"
    if untrainable:
        reason += f"; and cannot be trained ({untrainable})"
    return Finding(family, SHARED if model.shares else UNSHARED, reason, gap)


def build(family: str) -> Any:
    """A random model of the family with weights so large that everything in it matters."""
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(small(CONFIG_MAPPING[family], **OWN.get(family, {})))
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1 and 0 < float(parameter.std()) < 0.1:
                parameter.mul_(0.2 / parameter.std())
    return network.eval()


def small(kind: type[PretrainedConfig], **own: Any) -> PretrainedConfig:
    """The family's own configuration with small sizes, in its parts too."""
    default = kind()
    names = default.to_dict()
    sizes = {name: size for name, size in SMALL.items() if name in names and isinstance(names[name], int | None)}
    ids = {n: 1 for n, value in names.items() if n.endswith("token_id") and isinstance(value, int)}
    ids |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    parts = {n: getattr(default, n, None) for n in getattr(kind, "sub_configs", {})}
    parts = {n: small(type(part)).to_dict() for n, part in parts.items() if isinstance(part, PretrainedConfig)}
    if "kv_lora_rank" in names:
        sizes["num_key_value_heads"] = sizes["num_attention_heads"]
    return kind(**(sizes | ids | parts | own))


def tokenizer() -> PreTrainedTokenizerFast:
    words = {"<s>": 0, "</s>": 1} | {f"w{i}": i for i in range(2, VOCABULARY)}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="w2")), bos_token="<s>", eos_token="</s>"
    )


def sequences() -> list[TokenSequence]:
    """Two answers to one prompt, one of them twice in part, and an answer to another."""
    random = np.random.default_rng(3)
    prompt, begin, *rest = (random.integers(2, VOCABULARY, n).tolist() for n in (20, 9, 5, 8, 11, 13, 6))
    return [
        TokenSequence.of(prompt, begin + rest[0]),
        TokenSequence.of(prompt, begin + rest[1]),
        TokenSequence.of(prompt, rest[2]),
        TokenSequence.of(rest[3], rest[4]),
    ]


def plain_scores(network: Any) -> Tensor:
    totals = []
    for one in sequences():
        ids = torch.from_numpy(one.ids)
        logprobs = plain_logits(network, ids).float().log_softmax(-1)
        (scored,) = np.nonzero(one.scored)
        totals.append(logprobs[scored - 1, ids[scored]].sum())
    return torch.stack(totals)


def difference_of_gradients(model: Any, network: Any) -> str:
    """Compare the gradient of a weighted sum of the log-probs by every parameter; why there is none, or "".

    Raises AssertionError where they differ. Embedding and head add theirs up as in training.
    """
    weights = torch.tensor([1.0, -2.0, 0.5, 3.0])
    for parameter in model.network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    model.add_up_vocabulary_gradients(at_once=True)
    try:
        (plain_scores(network) * weights).sum().backward()
    except Exception as error:
        return reason_of(error)
    (score_sequences(model, sequences()) * weights).sum().backward()
    mine = dict(model.network.named_parameters())
    for name, parameter in network.named_parameters():
        theirs = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        gap = float((mine[name].grad - theirs).norm() / theirs.norm().clamp_min(1e-2))
        assert gap < GRADIENT_TOLERANCE, f"the gradients of {name} differ by {gap:.1e}"
    return ""


def plain_logits(network: Any, ids: Tensor) -> Tensor:
    """Logits of every token, with nothing kept of what was run."""
    takes_it = "use_cache" in inspect.signature(network.forward).parameters
    return network(input_ids=ids[None], **({"use_cache": False} if takes_it else {})).logits[0]


def answer(model: Any) -> list[int]:
    """Eight tokens after a prompt, each the most likely one."""
    request = Request(tuple(sequences()[0].ids[:20].tolist()), "0")
    params = SamplingParams(temperature=0.0, max_new_tokens=8)
    (((response,)),) = generate(model, [request], params, num_responses=1)
    return list(response.token_ids)


def plain_answer(network: Any) -> list[int]:
    """The same, everything run again for every token."""
    ids = sequences()[0].ids[:20].tolist()
    for _ in range(8):
        with torch.no_grad():
            ids.append(int(plain_logits(network, torch.tensor(ids))[-1].argmax()))
        if ids[-1] == 1:
            break
    return ids[20:]


def relative(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().mean())


def page(findings: Sequence[Finding]) -> str:
    """docs/models.md."""
    parts = [HEAD.format(transformers=transformers.__version__, gap=max(finding.gap for finding in findings))]
    for outcome, (title, text) in SECTIONS.items():
        rows = [finding.row for finding in findings if finding.outcome == outcome]
        parts.append(
            f"## {title}: {len(rows)}\n\n{text}\n\n| family | class | why |\n|---|---|---|\n" + "\n".join(rows) + "\n"
        )
    return "\n".join(parts)


def main() -> None:
    """Examine what the command line names, or all families, and then write the page."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    findings = []
    for family in sys.argv[1:] or sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES):
        findings.append(examine(family))
        print(findings[-1], flush=True)
    if not sys.argv[1:]:
        PAGE.write_text(page(findings), encoding="utf-8")


if __name__ == "__main__":
    main()
