"""Trace a run's model as a tree: earlier models, data, and the judges of the data.

It is read from the ledgers alone, so it is available even if files are gone; `penchant.training.verify` checks whether
the files are still those that were read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from penchant.errors import OutputError
from penchant.models.digests import run_of
from penchant.models.ledger import read_ledger
from penchant.models.starter import STARTERS
from penchant.training.origins import lies_nowhere
from penchant.training.provenance import read_provenance
from penchant.training.run_folder import found_from
from penchant.wording import sanitise

__all__ = ["Origin", "lineage"]

NOT_RECORDED = "not recorded when it was written"


@dataclass(frozen=True)
class Origin:
    """A node. kind: run, model, reference, base, data, votes, answers or responses. name: its name. facts: what is
    known about it, in words; of: its own origins."""

    kind: str
    name: str
    facts: tuple[str, ...] = ()
    of: tuple[Origin, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """The tree as plain data."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The tree as text, one line per node."""
        return [self._line(), *_branches(self.of)]

    def __str__(self) -> str:
        """The tree as text that is safe to print: names may come from an untrusted folder."""
        return sanitise("\n".join(self.lines()))

    def _line(self) -> str:
        return f"{self.kind} {self.name}" + (f"  ({'; '.join(self.facts)})" if self.facts else "")


def lineage(folder: Path) -> Origin:
    """The lineage of a run folder or an exported model. Raises OutputError if it holds no ledger."""
    exported = None if (folder / "run.json").is_file() else read_provenance(folder)
    if exported is None:
        return _run(folder, "run", ())
    facts = {"name": str(folder), "path": str(folder), "digest": exported["digest"], "exported": exported}
    return _model("model", facts, ())


def _branches(nodes: Sequence[Origin]) -> Iterator[str]:
    for number, node in enumerate(nodes, 1):
        is_last = number == len(nodes)
        head, *rest = node.lines()
        yield ("└── " if is_last else "├── ") + head
        yield from (("    " if is_last else "│   ") + line for line in rest)


def _run(run: Path, kind: str, above: tuple[Path, ...], remark: str = "") -> Origin:
    ledger = read_ledger(run)
    config = ledger["config"]
    how = ledger.get("command", "training")
    if objective := (config.get("dpo") or {}).get("objective"):
        how += f", {objective}"
    if (config.get("model") or {}).get("lora"):
        how += ", LoRA"
    facts = [how, ledger.get("finished_at") or ledger.get("status") or "", remark]
    above = (*above, run.resolve())
    of = (*_models(ledger, above), *_data(ledger))
    return Origin(kind, str(run), tuple(filter(None, facts)), of)


def _models(ledger: Mapping[str, Any], above: tuple[Path, ...]) -> Iterator[Origin]:
    origins = ledger.get("origins")
    if origins is None:
        names = {kind: (ledger["config"].get("model") or {}).get(key) for kind, key in OLD.items()}
        origins = {kind: _unrecorded(found_from(above[-1], ledger, name)) for kind, name in names.items() if name}
    for kind, recorded in origins.items():
        yield from _with_base(kind, _moved(recorded, above[-1], ledger), above)


def _with_base(kind: str, origin: Mapping[str, Any], above: tuple[Path, ...]) -> Iterator[Origin]:
    """A model, and the base model of an adapter that is not from a run."""
    yield _model(kind, origin, above)
    if "base" in origin and not origin["run"]:
        yield _model("base", {"name": origin["base"]["path"], **origin["base"]}, above)


OLD = {"model": "name", "reference": "reference"}
"""Settings that name the models of old runs, which recorded no origins."""


def _moved(origin: Mapping[str, Any], run: Path, ledger: Mapping[str, Any]) -> Mapping[str, Any]:
    """The current path of an origin that was moved together with its run."""
    if lies_nowhere(origin) or Path(origin["path"]).exists() or origin["name"] in STARTERS:
        return origin
    found = found_from(run, ledger, origin["name"])
    return origin if found == origin["name"] else {**origin, **{k: _unrecorded(found)[k] for k in ("path", "run")}}


def _unrecorded(name: str) -> dict[str, Any]:
    path = Path(name).expanduser()
    run = path if (path / "run.json").is_file() else run_of(path)
    return {"name": name, "path": name, "run": run and str(run), "digest": None}


def _model(kind: str, origin: Mapping[str, Any], above: tuple[Path, ...]) -> Origin:
    digest = origin.get("digest")
    facts = [f"weights {digest[:12]}" if digest else "" if "digest" not in origin else NOT_RECORDED]
    if run := origin.get("run"):
        if Path(run).resolve() in above:
            return Origin(kind, run, (*facts, "again"))
        try:
            return _run(Path(run), f"{kind}, run", above, _differs(origin, Path(run)))
        except OutputError:
            facts.append("a run that is not there any more")
    if starter := STARTERS.get(origin["name"]):
        facts.append(f"starter model {starter.package}, {starter.licence}, GGUF sha256 {starter.sha256[:12]}")
    if gguf := origin.get("gguf"):
        facts.append(f"GGUF sha256 {gguf['sha256'][:12]}")
    if lies_nowhere(origin):
        facts.append("in memory")
    name = origin["name"] if lies_nowhere(origin) or origin["name"] in STARTERS else origin["path"]
    of: tuple[Origin, ...] = ()
    if exported := origin.get("exported"):
        facts.append(f"exported {exported['exported_at']} as {exported['dtype']}")
        if exported["digest"] == digest:
            of = tuple(_with_base("model", exported["of"], above))
        else:
            facts.append("its weights were changed since")
    return Origin(kind, name, tuple(filter(None, facts)), of)


def _differs(origin: Mapping[str, Any], run: Path) -> str:
    """Whether the run now at that path differs from the one recorded, according to both ledgers."""
    written, read = read_ledger(run).get("model_files"), origin.get("files")
    if not written or not read or all(written.get(name) == digest for name, digest in read.items()):
        return ""
    return f"not this run: another one was in this folder when weights {origin['digest'][:12]} were read"


def _data(ledger: Mapping[str, Any]) -> Iterator[Origin]:
    files = ledger.get("data_files")
    if files is None:
        files = [{"path": file} for file in ledger.get("data", ())]
    for file in files:
        facts = (f"sha256 {file['sha256'][:12]}",) if "sha256" in file else (NOT_RECORDED,)
        votes = [_votes(file["votes"])] if "votes" in file else []
        yield Origin("data", file["path"], facts, (*votes, *_authors(file)))


def _votes(votes: Mapping[str, Any]) -> Origin:
    counts = f"{votes['answers']} answers to {votes['answered']} tasks, {votes['pairs']} pairs by {votes['labels']}"
    return Origin("votes", votes["project"], (counts,), tuple(_authors(votes)))


def _authors(facts: Mapping[str, Any]) -> Iterator[Origin]:
    """Annotators and authors of the responses, most frequent first."""
    for kind, key in (("answers", "answered_by"), ("responses", "written_by")):
        for name, number in (facts.get(key) or {}).items():
            yield Origin(f"{kind} by", name, (f"{number:,}",))
