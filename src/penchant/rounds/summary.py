"""Finish a round: write its figures, its lineage in round.json, and its page."""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from penchant.data.authors import STAND_IN
from penchant.files import write_atomically
from penchant.rounds.finished_stages import min_votes_of
from penchant.rounds.plan import Round

__all__ = ["finish_round", "model_digest"]


def finish_round(this: Round) -> None:
    """Write report.html, then round.json, which finishes the round."""
    from penchant.evaluation.judges import read_comparisons, tally
    from penchant.evaluation.side_by_side import summarise_sides
    from penchant.models.ledger import read_ledger
    from penchant.report import write_report
    from penchant.report.counts import counts_of
    from penchant.training.run_folder import read_rows_written
    from penchant.versions import VERSION

    run, plan = this.path / "run", this.plan
    ledger = read_ledger(run)
    votes, verdicts = (read_comparisons(this.path / f"{name}.jsonl") for name in ("votes", "verdicts"))
    known = {verdict.id: verdict for verdict in verdicts}
    sides = [known.get(answer.id, answer) for answer in read_comparisons(this.path / "answers.jsonl")]
    judge = next((vote.annotator or "" for vote in votes), "").removeprefix(STAND_IN) if plan.judge else "people"
    found = summarise_sides(sides, judge)
    samples, counts = read_comparisons(this.path / "samples.jsonl"), counts_of(ledger)
    record: dict[str, Any] = {
        "round": this.number,
        "parent": {"round": this.number - 1 or None, "model": this.parent, "digest": ledger.get("model_digest")},
        "model": {"path": "run", "digest": model_digest(run)},
        "counts": {
            "prompts": len(samples),
            "identical_responses": sum(bool(sample.meta.get("identical")) for sample in samples),
            "votes": asdict(tally(votes)),
            f"train_{counts.kind}": counts.train,
            f"held_out_{counts.kind}": counts.held_out,
            "held_out_prompts": len(sides),
            "verdicts": asdict(tally(verdicts)),
        },
        "seeds": {"split": plan.seed, "sampling_and_training": this.seed},
        "settings": plan.model_dump() | {"min_votes": min_votes_of(this)},
        "figures": {name: value for name, value in found.items() if name != "pairs"},
        "penchant": VERSION,
        "finished_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    rows = {
        name: read_rows_written(run / name) for name in ("metrics.jsonl", "samples.jsonl") if (run / name).is_file()
    }
    shown = ledger | {"round": {name: record[name] for name in ("round", "parent", "counts", "seeds", "settings")}}
    write_report(shown, rows.get("metrics.jsonl", []), rows.get("samples.jsonl", []), found, this.path / "report.html")
    write_atomically(this.path / "round.json", json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def model_digest(run: Path) -> str:
    """The digest of a run's loaded model: of its weights and, for an adapter, of the base model's."""
    from penchant.models.digests import weights_digest
    from penchant.models.names import base_of, resolve

    path = resolve(str(run))
    return weights_digest(path, base_of(path))
