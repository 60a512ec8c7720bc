"""Check data before training on it: formats, verdicts, lengths, savings by prefix sharing, and token problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from penchant.data import (
    Origin,
    ReadOptions,
    Verdict,
    guess_kind,
    reading_of,
)
from penchant.data.authors import votes_behind
from penchant.data.fields import UnreadField
from penchant.data.given import Data, paths_of, sources_of
from penchant.data.kinds import Kind
from penchant.data.pairing import PairingRule
from penchant.data.read_as import Columns
from penchant.data.reading import no_search_for_cycles
from penchant.errors import ConfigError
from penchant.models.encoder import TextSide, load_text_side, read_chat_template
from penchant.models.language_model import LanguageModel
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics, computing
from penchant.models.similarity import ches_of_pairs
from penchant.progress import Reporter, counted
from penchant.tokens import (
    ChatEncoder,
    EncodedExample,
    EncodedLabelled,
    EncodedPair,
    Forest,
    Limits,
    SpecialTokens,
    pack,
)
from penchant.tokens.demonstrations import encoded_demonstrations
from penchant.tokens.faults import Remark, TokenFaults, length_remarks
from penchant.tokens.labelled_responses import encoded_labelled
from penchant.tokens.measuring import Lengths
from penchant.tokens.pairs import Outcome, encoded_pairs
from penchant.training.config import DataConfig, OptimiserConfig
from penchant.training.data_facts import has_weight, require_pairs, require_weight
from penchant.training.failures import FailuresSoFar
from penchant.training.settings import build_config

__all__ = ["CheckReport", "check_data", "check_tokens"]

NUM_SAMPLED = 512
"""The most items from which the share of tokens saved by prefix sharing is measured."""

Item: TypeAlias = EncodedPair | EncodedLabelled | EncodedExample
_ENCODING: dict[Kind, tuple[Callable[..., Iterator[Outcome[Any]]], tuple[str, ...]]] = {
    "pairs": (encoded_pairs, ("prompt", "chosen", "rejected")),
    "labelled": (encoded_labelled, ("prompt", "good", "bad")),
    "demonstrations": (encoded_demonstrations, ("text",)),
}
"""By kind of record: the function that makes items, and the parts whose lengths are reported."""


@dataclass(frozen=True)
class CheckReport:
    """The findings about data files.

    kind: "pairs", "labelled" or "demonstrations". format: names of the importers that matched. rows: counts by verdict.
    problems: every row with a verdict other than keep. left_out: pairs, or responses, that training would leave out
    although others of their row are used. items: the first items that training would read. lengths: by part, token
    counts before any cut. num_cut: items cut at the limits. saved_by_sharing: share of tokens that prefix sharing
    saves. remarks: what is wrong with tokens or lengths. unread: fields of rows that nothing reads. encoder, limits:
    what the rows were tokenised with. fits: see `Loaded`. remarks_on_rows: unread fields and formats, in words. votes:
    for every file from a project, the facts about its votes. ches: if requested, the row and the similarity of each of
    `items`, highest first (`penchant.models.similarity`).
    """

    kind: str
    format: str
    rows: dict[str, int]
    problems: tuple[Verdict, ...]
    left_out: tuple[Verdict, ...]
    items: tuple[Item, ...]
    lengths: Mapping[str, Sequence[int]]
    num_cut: int
    saved_by_sharing: float
    remarks: tuple[Remark, ...]
    unread: tuple[UnreadField, ...]
    fits: tuple[tuple[str, str, Origin], ...]
    remarks_on_rows: tuple[str, ...]
    encoder: ChatEncoder
    limits: Limits
    votes: tuple[dict[str, Any], ...]
    ches: tuple[tuple[str, float], ...] = ()

    @property
    def num_bad(self) -> int:
        """Rows that training would leave out."""
        return sum(verdict.severity == "error" for verdict in self.problems)

    @property
    def statistics(self) -> dict[str, dict[str, float]]:
        """By part of the rows: the count, and mean, 95th percentile and maximum of their tokens."""
        return {
            name: {
                "num": len(lengths),
                "mean": float(np.mean(lengths)),
                "p95": float(np.percentile(lengths, 95)),
                "max": int(max(lengths)),
            }
            for name, lengths in self.lengths.items()
            if lengths
        }

    def as_dict(self) -> dict[str, Any]:
        """Everything except the tokens, as JSON values."""
        return {
            "kind": self.kind,
            "format": self.format,
            "num_rows": sum(self.rows.values()),
            "num_bad": self.num_bad,
            "rows": self.rows,
            "fields_not_read": [
                {"name": field.name, "num_rows": field.num_rows, "first": str(field.first)} for field in self.unread
            ],
            "formats_that_fit_as_well": [
                {"taken": taken, "other": other, "first": str(first)} for taken, other, first in self.fits
            ],
            "problems": [
                {"where": str(v.origin), "severity": v.severity, "code": v.code, "reason": v.reason, "fix": v.fix}
                for v in self.problems
            ],
            "left_out_of_rows": [
                {"where": str(v.origin), "code": v.code, "reason": v.reason, "fix": v.fix} for v in self.left_out
            ],
            "tokens": self.statistics,
            "max_length": self.limits.max_length,
            "num_cut": self.num_cut,
            "saved_by_sharing": self.saved_by_sharing,
            "remarks": [asdict(remark) for remark in self.remarks],
            "votes": list(self.votes),
            **({"ches": [{"where": where, "value": value} for where, value in self.ches]} if self.ches else {}),
        }


def check_data(
    data: Data,
    model: str | LanguageModel,
    *,
    max_length: int = 1024,
    max_prompt_length: int | None = None,
    chat_template: str | None = None,
    special_tokens: SpecialTokens = "refuse",
    columns: Columns | None = None,
    format: str | None = None,
    pairing: PairingRule | None = None,
    min_gap: float = 0.0,
    most_items: int = NUM_SAMPLED,
    ches: bool = False,
    reporter: Reporter,
) -> CheckReport:
    """Read and tokenise files, or rows in memory, as training on `model` would; weights are read only for `ches`.

    max_length, max_prompt_length: in tokens, at most the model's context; the second is by default the first less one.
    columns, format, pairing, min_gap: see `penchant.data.load_pairs`. most_items: the number of items to keep for
    inspection, or 512. ches: measure how similar the two sides of these are to the model. chat_template,
    special_tokens: for a model given by name; a loaded one has its own.

    Raises DataError for data that cannot be read at all, ModelError for a model that has no tokenizer, ConfigError for
    limits that training would refuse.
    """
    of_data = {"max_length": max_length, "max_prompt_length": max_prompt_length, "min_gap": min_gap}
    build_config(DataConfig, flags=of_data)
    sources = ReadOptions(columns=columns, format=format).sources(data)
    guess_kind(sources)  # data errors come before model errors
    side = _text_side(model, chat_template, special_tokens, reporter)
    longest = min(max_length, side.context_length or max_length)
    limits = Limits(longest, min(max_prompt_length or longest - 1, longest - 1), side.context_length)
    most_items = max(most_items, NUM_SAMPLED)
    report = check_tokens(
        sources, side.encoder, limits, pairing=pairing, min_gap=min_gap, most_items=most_items, reporter=reporter
    )
    return with_ches(report, model, chat_template, reporter) if ches else report


def _text_side(
    model: str | LanguageModel, chat_template: str | None, special_tokens: SpecialTokens, reporter: Reporter
) -> TextSide:
    if isinstance(model, str):
        template = read_chat_template(chat_template)
        return load_text_side(model, chat_template=template, special_tokens=special_tokens, say=reporter.say)
    for name, is_said in (("chat_template", chat_template), ("special_tokens", special_tokens != "refuse")):
        if is_said:
            raise ConfigError(f"`{name}=...` is for loading, and this model is loaded already; leave it out")
    return TextSide(model.encoder, model.context_length)


def with_ches(
    report: CheckReport, model: str | LanguageModel, chat_template: str | None, reporter: Reporter
) -> CheckReport:
    """The report with the similarity of its first pairs. Raises ConfigError for other kinds, and ModelError."""
    pairs = [item for item in report.items if isinstance(item, EncodedPair)]
    if not pairs:
        raise ConfigError(
            f"`ches=True` compares the two sides of preference pairs, but the data are {report.kind}; leave it out"
        )
    with computing():
        loaded = model
        if isinstance(loaded, str):
            template = read_chat_template(chat_template)
            loaded = load_model(loaded, choose_numerics("auto", "auto"), chat_template=template)
        values = ches_of_pairs(loaded, pairs, on_progress=counted(reporter, "similarity"))
    found = zip((str(pair.origin) for pair in pairs), values, strict=True)
    return replace(report, ches=tuple(sorted(found, key=lambda one: -one[1])))


def check_tokens(
    data: Data,
    encoder: ChatEncoder,
    limits: Limits,
    *,
    token_budget: int = OptimiserConfig().token_budget,
    pairing: PairingRule | None = None,
    min_gap: float = 0.0,
    most_items: int = NUM_SAMPLED,
    reporter: Reporter,
) -> CheckReport:
    """Like `check_data`, with the encoder of a loaded model. token_budget: that of a micro-batch.

    Records are tokenised as they are read, so that memory grows only with what is reported. Raises DataError, like
    training, for a file of another kind beside pairs and if all rows have weight 0.
    """
    sources = sources_of(data)
    kind = guess_kind(sources)
    if kind == "pairs" and len(sources) > 1:
        require_pairs(sources)
    how = ReadOptions("drop", pairing=pairing, min_gap=min_gap)
    reading = reading_of(kind, sources, how)
    encoded, parts = _ENCODING[kind]
    measured, faults = Lengths(*parts), TokenFaults(encoder, limits)
    items: list[Item] = []
    so_far = FailuresSoFar()
    num_items = num_cut = 0
    is_weighty = False

    def told() -> Iterator[Any]:
        for record in reading:
            reporter.progress("tokens", reading.num_records, None, {})
            yield record
        reporter.progress("tokens", reading.num_records, reading.num_records, {})

    with no_search_for_cycles():
        for outcome, num_cut_of_one in encoded(encoder, told(), limits, measured):
            num_cut += num_cut_of_one
            if isinstance(outcome, Verdict):
                so_far.failed(outcome)
                continue
            for item in outcome:
                so_far.kept(item.origin)
                faults.add(item)
            items += outcome[: most_items - len(items)]
            num_items += len(outcome)
            is_weighty = is_weighty or has_weight(outcome)
    require_weight(is_weighty or not num_items, sources)
    loaded, failures = reading.loaded(()), so_far.found()
    return CheckReport(
        kind=kind,
        format=loaded.format,
        rows=failures.counted(loaded.verdict_counts, loaded.problems),
        problems=(*loaded.problems, *failures.rows),
        left_out=failures.parts,
        items=tuple(items),
        lengths=measured.by_part,
        num_cut=num_cut,
        saved_by_sharing=_saved_by_sharing(items[:NUM_SAMPLED], token_budget),
        remarks=(*faults.remarks(), *length_remarks(measured.by_part, encoder)),
        unread=loaded.unread,
        fits=loaded.fits,
        remarks_on_rows=(*failures.of_parts(), *loaded.remarks()),
        encoder=encoder,
        limits=limits,
        votes=tuple(found for path in paths_of(sources) if (found := votes_behind(path))),
    )


def _saved_by_sharing(items: Sequence[Item], token_budget: int) -> float:
    """The share of tokens saved by running every shared prefix of a micro-batch once."""
    total = unique = 0
    for batch in pack([item.sequences for item in items], token_budget):
        sequences = [sequence for i in batch for sequence in items[i].sequences]
        total += sum(map(len, sequences))
        unique += Forest.plant(sequences).num_tokens
    return 1 - unique / total if total else 0.0
