"""Log-probabilities of given tokens, holding the logits of only one chunk of rows at a time.

Shape suffixes: K scored tokens, V vocabulary, H hidden.

log p(y_k) = z_k[y_k] - logsumexp(z_k),  z_k = W h_k (+ b).  Its gradient needs softmax(z_k), which is recomputed in
the backward pass from the saved log-sum-exp: four matrix products in all for a trained head, three for a frozen one.
KL(q_k || p_k) from a reference q has the gradient softmax(z_k) - q_k, and q_k is recomputed too: two more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["Head", "TokenMeasures", "token_entropy", "token_kl", "token_logprobs", "token_measures"]

CHUNK_BYTES = 32 * 2**20
"""The most logits held at once."""


def token_logprobs(
    hidden_KH: Tensor,
    weight_VH: Tensor,
    targets_K: Tensor,
    bias_V: Tensor | None = None,
    *,
    softcap: float | None = None,
    weight_sum_VH: Tensor | None = None,
) -> Tensor:
    """Natural-log probability of each target token, (K,) in fp32 (fp64 where the states are).

    hidden_KH: the states that predict the tokens. weight_VH, bias_V: the language-model head. softcap: logits become
    softcap * tanh(logits / softcap), as Gemma 2 does. Gradients are exact for hidden, weight and bias; the head's
    gradient is accumulated in fp32. weight_sum_VH: where the weight's gradient is accumulated; autograd
    then gets none for it.
    """
    head = Head(weight_VH, bias_V, softcap)
    return token_measures(hidden_KH, head, targets_K, weight_sum_VH=weight_sum_VH).logprob_K


class Head(NamedTuple):
    """A head from states to logits: the weight (V, H), the bias (V,) or None, and the softcap or None."""

    weight_VH: Tensor
    bias_V: Tensor | None = None
    softcap: float | None = None


class TokenMeasures(NamedTuple):
    """Measures of every scored token, (K,) each: log-prob; log sum_v p(v)^2, no gradient; KL(reference || policy).

    The collision probability sum_v p(v)^2 is that of two equal draws. Values not requested are 0.
    """

    logprob_K: Tensor
    collision_K: Tensor
    kl_K: Tensor


def token_measures(
    hidden_KH: Tensor,
    head: Head,
    targets_K: Tensor,
    *,
    weight_sum_VH: Tensor | None = None,
    collision: bool = False,
    reference: tuple[Tensor, Head] | None = None,
) -> TokenMeasures:
    """Like `token_logprobs`, with further measures of the same logits.

    collision: whether to measure it, at the cost of a pass over logits. reference: states and head of a model with
    the same vocabulary; the gradient of the KL from it is exact for the policy, and the reference gets none.
    """
    apply: Callable[..., tuple[Tensor, ...]] = _TokenLogprobs.apply  # untyped in torch
    return TokenMeasures(
        *apply(hidden_KH, head.weight_VH, head.bias_V, targets_K, head.softcap, weight_sum_VH, collision, reference)
    )


def token_kl(hidden_KH: Tensor, head: Head, other_hidden_KH: Tensor, other_head: Head) -> Tensor:
    """KL(p_k || q_k) of two models' distributions of every next token, (K,) in nats, fp32 (fp64 where the states are).

    The sum over the whole vocabulary, sum_v p(v) (log p(v) - log q(v)), for a chunk of rows at a time; no gradient.
    The models may differ in width, not in vocabulary.

    Raises:
        ValueError: the vocabularies are of different sizes.
    """
    if len(head.weight_VH) != len(other_head.weight_VH):
        raise ValueError(
            f"A KL needs one vocabulary: got {len(head.weight_VH)} and {len(other_head.weight_VH)} tokens."
        )
    with torch.no_grad(), torch.autocast(hidden_KH.device.type, enabled=False):
        one, other = _alike(hidden_KH, head, hidden_KH), _alike(other_hidden_KH, other_head, other_hidden_KH)
        kl_K = torch.empty(len(hidden_KH), dtype=_wide(hidden_KH), device=hidden_KH.device)
        for rows, _ in _chunks(hidden_KH, head.weight_VH):
            z, other_z = _logits_of(one, rows), _logits_of(other, rows)
            kl_K[rows] = _kl_less_logsumexp_(z, other_z) + _logsumexp_(other_z, collision=False)[0]
        return kl_K


def _kl_less_logsumexp_(z: Tensor, other_z: Tensor) -> Tensor:
    """KL(p || q) - logsumexp of q's logits, (rows,): sum_v p(v) (z(v) - other_z(v)) - logsumexp(z); `z` is overwritten.

    Logits are subtracted before normalisation, so that the KL of nearly equal models keeps its precision.
    """
    p = z.softmax(dim=-1)
    mean = torch.where(p > 0, p * (z - other_z), 0.0).sum(dim=-1)
    return mean - _logsumexp_(z, collision=False)[0]


def token_entropy(hidden_KH: Tensor, head: Head) -> Tensor:
    """-sum_v p(v) log p(v) of every next token's distribution, (K,) in nats, dtype as of `token_kl`; no gradient."""
    with torch.no_grad(), torch.autocast(hidden_KH.device.type, enabled=False):
        weight = head.weight_VH.to(hidden_KH.dtype)
        entropy_K = torch.empty(len(hidden_KH), dtype=_wide(hidden_KH), device=hidden_KH.device)
        for rows, _ in _chunks(hidden_KH, weight):
            log_p = _logits(hidden_KH[rows], weight, head.bias_V, head.softcap, None).log_softmax(dim=-1)
            entropy_K[rows] = -torch.where(log_p.isneginf(), 0.0, log_p.exp() * log_p).sum(dim=-1)
        return entropy_K


def _logits(h: Tensor, weight: Tensor, bias: Tensor | None, softcap: float | None, out: Tensor | None) -> Tensor:
    z = torch.mm(h, weight.t(), out=out) if out is not None else torch.mm(h, weight.t()).to(_wide(h))
    if bias is not None:
        z += bias
    return z if softcap is None else z.div_(softcap).tanh_().mul_(softcap)


def _logsumexp_(z: Tensor, *, collision: bool) -> tuple[Tensor, Tensor | float]:
    """log sum exp of every row and, if requested, log sum p^2, each (rows,).

    Computed in the memory of `z`: a second copy of the logits is never held.
    """
    top = z.amax(dim=-1, keepdim=True)
    log_sum = z.sub_(top).exp_().sum(dim=-1).log_()
    return log_sum + top[:, 0], z.square_().sum(dim=-1).log_() - 2 * log_sum if collision else 0.0


def _wide(x: Tensor) -> torch.dtype:
    """The dtype of logits and sums: fp32, or that of `x` if wider."""
    return torch.promote_types(x.dtype, torch.float32)


class _TokenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        h_KH: Tensor,
        w_VH: Tensor,
        b_V: Tensor | None,
        targets_K: Tensor,
        softcap: float | None,
        weight_sum_VH: Tensor | None,
        collision: bool,
        reference: tuple[Tensor, Head] | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        if torch.is_autocast_enabled(h_KH.device.type):
            h_KH = h_KH.to(torch.get_autocast_dtype(h_KH.device.type))
        ctx.head_dtype = w_VH.dtype
        w = w_VH.to(h_KH.dtype)
        reference = None if reference is None else _alike(*reference, h_KH)
        logprobs_K = torch.empty(len(h_KH), dtype=_wide(h_KH), device=h_KH.device)
        lse_K = torch.empty_like(logprobs_K)
        collision_K, kl_K = torch.zeros_like(logprobs_K), torch.zeros_like(logprobs_K)
        with torch.autocast(h_KH.device.type, enabled=False):
            for rows, buffer in _chunks(h_KH, w):
                z = _logits(h_KH[rows], w, b_V, softcap, buffer)
                target_logit = z.gather(1, targets_K[rows, None])[:, 0]
                if reference is not None:
                    kl_K[rows] = _kl_less_logsumexp_(_logits_of(reference, rows), z)
                lse_K[rows], collision_K[rows] = _logsumexp_(z, collision=collision)
                logprobs_K[rows] = target_logit - lse_K[rows]
        ctx.save_for_backward(h_KH, w, b_V, targets_K, lse_K)
        ctx.softcap, ctx.weight_sum_VH, ctx.reference = softcap, weight_sum_VH, reference
        if reference is None:
            ctx.mark_non_differentiable(collision_K, kl_K)
        else:
            kl_K += lse_K
            ctx.mark_non_differentiable(collision_K)
        return logprobs_K, collision_K, kl_K

    @staticmethod
    def backward(ctx: Any, grad_K: Tensor, _of_collision: Tensor, kl_grad_K: Tensor) -> tuple[Tensor | None, ...]:
        h_KH, w, b_V, targets_K, lse_K = ctx.saved_tensors
        need_h, need_w, need_b = ctx.needs_input_grad[:3]
        dh_KH = torch.empty_like(h_KH) if need_h else None
        dw_VH = ctx.weight_sum_VH if need_w else None
        if need_w and dw_VH is None:
            dw_VH = torch.zeros(w.shape, dtype=_wide(w), device=w.device)
        db_V = torch.zeros_like(b_V, dtype=_wide(w)) if need_b else None
        for rows, buffer in _chunks(h_KH, w):
            z = _logits(h_KH[rows], w, b_V, ctx.softcap, buffer)
            slope = None if ctx.softcap is None else 1 - (z / ctx.softcap).square_()
            # d logp / d z = onehot - softmax; the buffer of logits becomes that gradient in place
            both_K = grad_K[rows] if ctx.reference is None else grad_K[rows] - kl_grad_K[rows]
            dz = z.sub_(lse_K[rows, None]).exp_().mul_(-both_K[:, None])
            dz.scatter_add_(1, targets_K[rows, None], grad_K[rows, None])
            if ctx.reference is not None:  # d KL / d z = softmax - reference
                dz -= _logits_of(ctx.reference, rows).softmax(dim=-1).mul_(kl_grad_K[rows, None])
            if slope is not None:
                dz *= slope
            if db_V is not None:
                db_V += dz.sum(0)
            dz = dz.to(h_KH.dtype)
            if dh_KH is not None:
                dh_KH[rows] = dz @ w
            if dw_VH is not None:
                if dz.dtype == dw_VH.dtype:
                    dw_VH.addmm_(dz.t(), h_KH[rows])
                else:
                    dw_VH += dz.t() @ h_KH[rows]
        dw_VH = None if dw_VH is None or dw_VH is ctx.weight_sum_VH else dw_VH.to(ctx.head_dtype)
        return dh_KH, dw_VH, db_V, None, None, None, None, None


def _logits_of(model: tuple[Tensor, Head], rows: slice) -> Tensor:
    """The logits of these states by this head, (rows, V), in new memory."""
    hidden_KH, head = model
    return _logits(hidden_KH[rows], head.weight_VH, head.bias_V, head.softcap, None)


def _alike(hidden_KH: Tensor, head: Head, like: Tensor) -> tuple[Tensor, Head]:
    """States and head in the precision and on the device of `like`."""
    return hidden_KH.to(like), head._replace(weight_VH=head.weight_VH.to(like))


def _chunks(h_KH: Tensor, w_VH: Tensor) -> list[tuple[slice, Tensor | None]]:
    """Row slices of equal size, with a shared buffer for their logits (not in half precision)."""
    size = max(1, CHUNK_BYTES // (4 * len(w_VH)))
    num = max(1, -(-len(h_KH) // size))
    size = -(-len(h_KH) // num)
    buffer = h_KH.new_empty(size, len(w_VH)) if h_KH.dtype == _wide(h_KH) and len(h_KH) else None
    slices = [slice(start, min(start + size, len(h_KH))) for start in range(0, len(h_KH), max(size, 1))]
    return [(s, None if buffer is None else buffer[: s.stop - s.start]) for s in slices]
