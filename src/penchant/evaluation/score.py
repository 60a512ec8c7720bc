"""Score human-judged pairs by the reward of a trained model, and measure how often it agrees with people."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from penchant import ranks
from penchant.data import Data, Loaded, OnBadRow, PreferencePair, ReadOptions, load_pairs
from penchant.data.pairing import PairingRule
from penchant.data.read_as import Columns
from penchant.errors import ConfigError, DataError
from penchant.evaluation.pair_scores import PairScore, Summary, beta_of, response_logprobs, score_rewards, summarise
from penchant.evaluation.policies import AnyModel, Loader, open_policy, open_scorer_of_pairs
from penchant.evaluation.references import find_reference, ledger_of
from penchant.evaluation.reward_model_scores import reward_scores
from penchant.files import disk_errors_explained, write_atomically
from penchant.models.language_model import LanguageModel
from penchant.numbers_given import require_whole
from penchant.progress import Reporter, Silent, counted
from penchant.tokens import EncodedPair, Limits, special_tokens_of, tokenise_pairs
from penchant.training.failures import FailuresSoFar

__all__ = ["Scores", "score_pairs"]

TOKEN_BUDGET = 2048
"""Token budget of a micro-batch."""


@dataclass(frozen=True)
class Scores:
    """The scores of pairs.

    pairs: in the order of the data, without those left out. summary: accuracy, mean margin and others, with 95%
    intervals. beta: the scale of the rewards; None for a reward model, which has none.
    """

    pairs: tuple[PairScore, ...]
    summary: Summary
    beta: float | None

    def rows(self) -> list[dict[str, Any]]:
        """One dict per pair; origin is file:line."""
        return [asdict(score) | {"origin": str(score.origin)} for score in self.pairs]

    def as_lines(self) -> str:
        """JSON lines, one per pair."""
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows())

    def write(self, output: Path) -> None:
        """Write the lines to a file, on the first rank. Raises OutputError."""
        if not ranks.is_first():
            return
        with disk_errors_explained(output, again="run the command again"):
            output.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(output, self.as_lines())


def score_pairs(
    policy: AnyModel,
    data: Data,
    *,
    reference: AnyModel | None = None,
    beta: float | None = None,
    max_pairs: int | None = None,
    max_length: int | None = None,
    special_tokens: str | None = None,
    on_bad_row: OnBadRow = "drop",
    columns: Columns | None = None,
    format: str | None = None,
    pairing: PairingRule | None = None,
    min_gap: float = 0.0,
    load: Loader | None = None,
    reporter: Reporter | None = None,
) -> Scores:
    """Compute the implicit rewards beta (log pi(y|x) - log pi_ref(y|x)) of every pair, and their margin.

    For a reward model, its own rewards are used.

    Args:
        policy: a run folder or another model's name, which is loaded and freed before its reference is loaded; or a
            model in memory.
        data: preference pairs, as for `penchant.data.load_pairs`.
        reference: the model to measure against; None: the run's reference (see `find_reference`).
        beta: scale of the rewards; None for the run's own, see `beta_of`.
        max_pairs: the most pairs to score, from the start.
        max_length: tokens of prompt and response; None: the run's limit, or 1024.
        special_tokens: refuse, text or control: how to treat text that spells one; None: as in the run.
        on_bad_row: "drop" leaves out bad rows and reports their number, "error" refuses them.
        columns, format: see `penchant.data.load_pairs`.
        pairing, min_gap: which answers of a list become pairs, see `penchant.data.load_pairs`.
        load: loads a model by name; None: with the best available device and dtype.
        reporter: receives progress, and what was left out or cut.

    Raises:
        ConfigError: no reference is given or recorded, or beta is not above 0.
        ModelError: a model cannot be loaded, or the reference's tokenizer differs from the policy's.
        DataError: there is no usable pair, or a bad row with on_bad_row="error".
    """
    if beta is not None and not 0 < beta < float("inf"):
        raise ConfigError(f"beta must be a finite number above 0, got {beta}; leave it out for the run's own")
    require_whole("max_pairs", max_pairs)
    require_whole("max_length", max_length, 8)
    reporter = reporter or Silent()
    data = ReadOptions(on_bad_row, max_pairs, columns=columns, format=format).sources(data)
    ledger = {} if isinstance(policy, LanguageModel) else ledger_of(str(policy)) or {}
    trained_with = ledger.get("config", {}).get("data", {})
    spelt = special_tokens_of(special_tokens or trained_with.get("special_tokens"))

    def encoded(model: LanguageModel) -> Sequence[EncodedPair]:
        longest = min(max_length or trained_with.get("max_length", 1024), model.context_length)
        loaded = load_pairs(data, on_bad_row=on_bad_row, limit=max_pairs, pairing=pairing, min_gap=min_gap)
        return _encoded(model, loaded, longest, on_bad_row, reporter)

    if (scorer := open_scorer_of_pairs(policy, special_tokens=spelt, load=load, reporter=reporter)) is not None:
        if reference is not None or beta is not None:
            raise ConfigError(f"{scorer.name}: is a reward model, which has no reference and no beta; leave them out")
        pairs = encoded(scorer)
        _require_same(scorer, pairs)
        scores = reward_scores(scorer, pairs, token_budget=TOKEN_BUDGET, on_progress=counted(reporter, "rewards"))
        return Scores(tuple(scores), summarise(pairs, scores), None)
    name, model = open_policy(policy, reference, special_tokens=spelt, load=load, reporter=reporter)
    source = find_reference(name, model, reference)
    scale = beta if beta is not None else beta_of(ledger, reporter.say)
    pairs = encoded(model)
    _require_same(model, pairs)
    policy_B2 = _logprobs(model, pairs, reporter, "policy")
    if source.is_adapter_off:
        with model.as_reference():
            reference_B2 = _logprobs(model, pairs, reporter, "reference")
    else:
        del model  # one model in memory at a time
        reference_B2 = _logprobs(source.load(reporter.say), pairs, reporter, "reference")
    scores = score_rewards(pairs, policy_B2, reference_B2, scale)
    return Scores(tuple(scores), summarise(pairs, scores), scale)


def _encoded(
    policy: LanguageModel,
    loaded: Loaded[PreferencePair],
    max_length: int,
    on_bad_row: OnBadRow,
    reporter: Reporter,
) -> Sequence[EncodedPair]:
    limits = Limits(max_length, max_length - 1, policy.context_length)
    tokenised = tokenise_pairs(policy.encoder, loaded.records, limits)
    so_far = FailuresSoFar()
    so_far.add(tokenised.problems, (pair.origin for pair in tokenised.items))
    failures = so_far.found()
    bad = [v for v in (*loaded.problems, *failures.rows) if v.severity == "error"]
    if on_bad_row == "error" and failures.parts:
        raise DataError(f"{failures.parts[0]} (`penchant check` lists all)")
    if bad and (on_bad_row == "error" or not tokenised.items):
        raise DataError(f"{bad[0]} ({len(bad)} bad rows; `penchant check` lists them)")
    for line in (*failures.of_parts(), *loaded.remarks()):
        reporter.say(line)
    if bad:
        counts = Counter(verdict.code for verdict in bad)
        reporter.say(f"left out {len(bad)} bad rows: " + ", ".join(f"{n} {code}" for code, n in counts.items()))
    if tokenised.num_truncated:
        reporter.say(f"cut {tokenised.num_truncated} responses at {max_length} tokens (prompt and response together)")
    return tokenised.items


def _require_same(model: LanguageModel, pairs: Sequence[EncodedPair]) -> None:
    """Raise ConfigError where a rank's model or pairs differ from the first's."""
    digest = hashlib.blake2b(b"".join(one.key for pair in pairs for one in pair.sequences), digest_size=16)
    ranks.require_same({"model weights": model.digest, "data": digest.hexdigest()})


def _logprobs(model: LanguageModel, pairs: Sequence[EncodedPair], reporter: Reporter, label: str) -> Tensor:
    return response_logprobs(model, pairs, token_budget=TOKEN_BUDGET, on_progress=counted(reporter, label))
