"""Where a run's model came from, as a tree: the models before it, the data, and who judged the data.

It is read from the ledgers alone, so it stands also where a file is gone; whether the files are still the ones that
were read, `penchant.training.verify` says.
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

NOT_RECORDED = "from before this was recorded"


@dataclass(frozen=True)
class Origin:
    """kind: run, model, reference, base, data, votes, answers or responses. name: what it is called. facts: what is
    known of it, in words; of: what it came from."""

    kind: str
    name: str
    facts: tuple[str, ...] = ()
    of: tuple[Origin, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """The tree as plain data."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The tree as text, a line a node."""
        return [self._line(), *_branches(self.of)]

    def __str__(self) -> str:
        """The tree as text that is safe to show: names may come from somebody else's folder."""
        return sanitise("\n".join(self.lines()))

    def _line(self) -> str:
        return f"{self.kind} {self.name}" + (f"  ({'; '.join(self.facts)})" if self.facts else "")


def lineage(folder: Path) -> Origin:
    """The tree under a run folder, or under a model that was exported. Raises OutputError where it holds no ledger."""
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
    """A model, and beside an adapter that is not a run's the model that it stands on."""
    yield _model(kind, origin, above)
    if "base" in origin and not origin["run"]:
        yield _model("base", {"name": origin["base"]["path"], **origin["base"]}, above)


OLD = {"model": "name", "reference": "reference"}
"""Where the settings of a run from before origins were recorded name its models."""


def _moved(origin: Mapping[str, Any], run: Path, ledger: Mapping[str, Any]) -> Mapping[str, Any]:
    """The origin as it is found now, where it was moved together with the run that began with it."""
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
    """Whether the run that lies there now is the one that was trained from, by what both ledgers say."""
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
    """Who answered and who wrote what they chose from, most first."""
    for kind, key in (("answers", "answered_by"), ("responses", "written_by")):
        for name, number in (facts.get(key) or {}).items():
            yield Origin(f"{kind} by", name, (f"{number:,}",))
