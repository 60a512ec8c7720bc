"""What `penchant check` finds out: formats, verdicts, lengths, what sharing saves, and faults in the tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from penchant.data import (
    Labelled,
    Loaded,
    Message,
    PreferencePair,
    Response,
    Verdict,
    guess_kind,
    load_demonstrations,
    load_labelled,
    load_pairs,
)
from penchant.data.fields import UnreadField
from penchant.tokens import (
    ChatEncoder,
    EncodedExample,
    EncodedLabelled,
    EncodedPair,
    Forest,
    Limits,
    Tokenised,
    TokenSequence,
    pack,
    tokenise_demonstrations,
    tokenise_labelled,
    tokenise_pairs,
)

__all__ = ["Findings", "Remark", "check_files", "scored_runs"]

NUM_SAMPLED = 512
"""Items from which the share of tokens saved by sharing is measured."""
LONGER = 1.2
"""Chosen responses this much longer than rejected ones are worth a remark."""


@dataclass(frozen=True)
class Remark:
    """A fault, or a habit, of the tokens: in how many sequences, and where first (None: it is not of a row)."""

    code: str
    text: str
    count: int
    first: str | None


@dataclass(frozen=True)
class Findings:
    """kind: "pairs", "labelled" or "demonstrations". lengths: by part, the tokens of every one before any cut."""

    kind: str
    format: str
    rows: dict[str, int]
    problems: tuple[Verdict, ...]
    items: tuple[EncodedPair | EncodedLabelled | EncodedExample, ...]
    lengths: dict[str, list[int]]
    num_cut: int
    saved_by_sharing: float
    remarks: tuple[Remark, ...]
    unread: tuple[UnreadField, ...]

    @property
    def num_bad(self) -> int:
        """Rows that training would leave out."""
        return sum(verdict.severity == "error" for verdict in self.problems)


def check_files(
    files: Sequence[Path],
    encoder: ChatEncoder,
    limits: Limits,
    token_budget: int,
    on_progress: Callable[[int, int], None],
) -> Findings:
    """Read and tokenise the files as training would. Raises DataError for what cannot be read at all."""
    measuring = _MeasuringEncoder(encoder)
    loaded: Loaded[Any]
    tokenised: Tokenised[Any]
    kind = guess_kind(files)
    if kind == "pairs":
        loaded = load_pairs(files, on_bad_row="drop")
        tokenised = tokenise_pairs(measuring, loaded.records, limits, _counter(len(loaded.records), on_progress))
        lengths = measuring.lengths_of(loaded.records)
    elif kind == "labelled":
        loaded = load_labelled(files, on_bad_row="drop")
        tokenised = tokenise_labelled(measuring, loaded.records, limits, _counter(len(loaded.records), on_progress))
        lengths = measuring.lengths_by_label(loaded.records)
    else:
        loaded = load_demonstrations(files, on_bad_row="drop")
        records = loaded.records
        tokenised = tokenise_demonstrations(measuring, records, limits, _counter(len(records), on_progress))
        lengths = {"text": measuring.texts}
    return Findings(
        kind=kind,
        format=loaded.format,
        rows=_count_rows(loaded.verdict_counts, loaded.problems, tokenised.problems),
        problems=(*loaded.problems, *tokenised.problems),
        items=tokenised.items,
        lengths=lengths,
        num_cut=tokenised.num_truncated,
        saved_by_sharing=_saved_by_sharing(tokenised.items[:NUM_SAMPLED], token_budget),
        remarks=(*_token_remarks(tokenised.items, encoder, limits), *_general_remarks(lengths, encoder)),
        unread=loaded.unread,
    )


class _MeasuringEncoder(ChatEncoder):
    """An encoder that remembers how many tokens everything had, since training's own rule cuts afterwards."""

    def __init__(self, encoder: ChatEncoder) -> None:
        super().__init__(
            encoder.tokenizer,
            template=encoder.template,
            end_ids=tuple(encoder.end_ids),
            special_tokens=encoder.special_tokens,
            clock=encoder.clock,
        )
        self.prompts: list[int] = []
        self.responses: dict[tuple[Any, Response], int] = {}
        self.texts: list[int] = []

    def encode_prompt(self, prompt: Sequence[Message]) -> list[int]:
        ids = super().encode_prompt(prompt)
        self.prompts.append(len(ids))
        return ids

    def encode_response(self, prompt: Sequence[Message], response: Response) -> list[int]:
        ids = super().encode_response(prompt, response)
        self.responses[prompt, response] = len(ids)
        return ids

    def encode_conversation(self, messages: Sequence[Message]) -> tuple[TokenSequence, ...]:
        turns = super().encode_conversation(messages)
        self.texts += map(len, turns)
        return turns

    def encode_document(self, text: str) -> list[int]:
        ids = super().encode_document(text)
        self.texts.append(len(ids))
        return ids

    def lengths_of(self, pairs: Sequence[PreferencePair]) -> dict[str, list[int]]:
        chosen = [self.responses[key] for p in pairs if (key := (p.prompt, p.chosen)) in self.responses]
        rejected = [self.responses[key] for p in pairs if (key := (p.prompt, p.rejected)) in self.responses]
        return {"prompt": self.prompts, "chosen": chosen, "rejected": rejected}

    def lengths_by_label(self, records: Sequence[Labelled]) -> dict[str, list[int]]:
        lengths: dict[str, list[int]] = {"good": [], "bad": []}
        for record in records:
            if (key := (record.prompt, record.response)) in self.responses:
                lengths["good" if record.desirable else "bad"].append(self.responses[key])
        return {"prompt": self.prompts, **lengths}


def _counter(total: int, on_progress: Callable[[int, int], None]) -> Callable[[], None]:
    numbers = iter(range(1, total + 1))
    return lambda: on_progress(next(numbers), total)


def _count_rows(counts: dict[str, int], early: Sequence[Verdict], late: Sequence[Verdict]) -> dict[str, int]:
    """Rows by verdict; one that only failed as tokens gives up the verdict it had as text."""
    rows = Counter(counts)
    before = {verdict.origin: verdict.code for verdict in early}
    for verdict in late:
        rows[before.get(verdict.origin, "keep")] -= 1
        rows[verdict.code] += 1
    return {code: number for code, number in rows.items() if number}


def _saved_by_sharing(items: Sequence[EncodedPair | EncodedLabelled | EncodedExample], token_budget: int) -> float:
    """Share of tokens that need not be run, as every shared prefix of a micro-batch is run once."""
    total = unique = 0
    for batch in pack([item.sequences for item in items], token_budget):
        sequences = [sequence for i in batch for sequence in items[i].sequences]
        total += sum(map(len, sequences))
        unique += Forest.plant(sequences).num_tokens
    return 1 - unique / total if total else 0.0


def scored_runs(sequence: TokenSequence) -> Iterator[tuple[bool, list[int]]]:
    """The sequence cut where the loss mask changes: (scored, ids), in order."""
    (changes,) = np.nonzero(np.diff(sequence.scored))
    for part in np.split(np.arange(len(sequence)), changes + 1):
        yield bool(sequence.scored[part[0]]), sequence.ids[part].tolist()


def _token_remarks(
    items: Sequence[EncodedPair | EncodedLabelled | EncodedExample], encoder: ChatEncoder, limits: Limits
) -> Iterator[Remark]:
    found: dict[str, list[str]] = {}
    inside: Counter[int] = Counter()
    special = _special_ids(encoder)
    for item in items:
        for sequence in item.sequences:
            for code in _faults(sequence, encoder, special, limits, inside):
                found.setdefault(code, []).append(str(item.origin))
    shown = ", ".join(repr(encoder.tokenizer.decode([i], skip_special_tokens=False)) for i, _ in inside.most_common(3))
    texts = {
        "double_bos": "begin with the beginning-of-text token twice; the template writes it and the tokenizer adds it",
        "double_end": "end with two end tokens; remove the one that is written in the response's text",
        "special_inside": f"hold a special token in the midst of what is scored ({shown}); remove it from the text",
        "missing_end": "do not end with an end token, so the model cannot learn to stop; check eos_token and template",
    }
    for code, where in found.items():
        yield Remark(code, texts[code], len(where), where[0])


def _faults(
    sequence: TokenSequence, encoder: ChatEncoder, special: frozenset[int], limits: Limits, inside: Counter[int]
) -> set[str]:
    """Codes of what is wrong with one sequence; special tokens out of place are counted in `inside`."""
    codes = set()
    bos = encoder.tokenizer.bos_token_id
    if bos is not None and sequence.ids[:2].tolist() == [bos, bos]:
        codes.add("double_bos")
    runs = [ids for scored, ids in scored_runs(sequence) if scored]
    for ids in runs:
        ends_well = ids[-1] in encoder.end_ids
        if ends_well and len(ids) > 1 and ids[-2] in encoder.end_ids:
            codes.add("double_end")
        elif strange := [i for i in ids[: -1 if ends_well else None] if i in special]:
            codes.add("special_inside")
            inside.update(strange)
        if not ends_well and len(sequence) < limits.max_length:
            codes.add("missing_end")
    return codes


def _general_remarks(lengths: dict[str, list[int]], encoder: ChatEncoder) -> Iterator[Remark]:
    pad = getattr(encoder.tokenizer, "pad_token_id", None)
    if pad is not None and pad == encoder.tokenizer.eos_token_id:
        text = "the pad token is the end token; Penchant never pads, but trainers that mask by pad forget the end token"
        yield Remark("pad_is_eos", text, 0, None)
    if lengths.get("chosen") and lengths.get("rejected"):
        ratio = float(np.mean(lengths["chosen"]) / np.mean(lengths["rejected"]))
        if not 1 / LONGER <= ratio <= LONGER:
            text = (
                f"chosen responses have {ratio:.2f} times the tokens of rejected ones; the model may learn length alone"
            )
            yield Remark("length_gap", text, 0, None)


def _special_ids(encoder: ChatEncoder) -> frozenset[int]:
    tokenizer: Any = encoder.tokenizer
    added = {i for i, token in getattr(tokenizer, "added_tokens_decoder", {}).items() if token.special}
    return frozenset(added | set(getattr(tokenizer, "all_special_ids", ())))
