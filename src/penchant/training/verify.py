"""Verify that a run folder still matches its ledger: everything comparable is compared, one finding each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os.path import isfile
from pathlib import Path
from typing import Any, Literal

import yaml

from penchant.data.given import FileSource, digest_of
from penchant.errors import UserError
from penchant.models.digests import base_of_run, changed_files, file_sha256
from penchant.models.ledger import read_ledger
from penchant.models.names import resolve
from penchant.models.network import base_of_adapter
from penchant.training.checkpoint import checkpoint_faults
from penchant.training.origins import lies_nowhere
from penchant.training.provenance import read_provenance
from penchant.training.records import row_in

__all__ = ["Finding", "verify_run"]


@dataclass(frozen=True)
class Finding:
    """what: the object checked. status: "same" as recorded, "differs", or "unknown" if it cannot be compared."""

    what: str
    status: Literal["same", "differs", "unknown"]
    text: str


def verify_run(run: Path) -> list[Finding]:
    """Compare a run folder, and its origins, with its ledger. Raises OutputError if there is none.

    An exported model is compared with its folder's provenance.
    """
    if not (run / "run.json").is_file() and (exported := read_provenance(run)) is not None:
        return [_compared("model", exported["files"], run, also_new=True), _origin("exported from", exported["of"])]
    ledger = read_ledger(run)
    return [
        _settings(run, ledger),
        _model(run, ledger),
        *_base(run, ledger),
        *_origins(ledger),
        *_data(ledger),
        *_rows(run, ledger),
        *_checkpoints(run),
        *_comparison(run, ledger),
        *_report(run, ledger),
    ]


def _settings(run: Path, ledger: Mapping[str, Any]) -> Finding:
    try:
        settings = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    except OSError as error:
        return Finding("config.yaml", "differs", f"cannot be read ({error.strerror})")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return Finding("config.yaml", "differs", f"not YAML ({str(error).splitlines()[0]})")
    if settings != ledger["config"]:
        return Finding("config.yaml", "differs", "holds other settings than run.json")
    return Finding("config.yaml", "same", "the settings in run.json")


def _model(run: Path, ledger: Mapping[str, Any]) -> Finding:
    written = ledger.get("model_files")
    if written is None and ledger.get("status") != "finished":
        return Finding("model", "unknown", "the run is not finished; `resume=True` continues it")
    if written is None:
        return Finding("model", "unknown", "this run was written before Penchant recorded digests of its files")
    return _compared("model", written, run / "model", also_new=True)


def _base(run: Path, ledger: Mapping[str, Any]) -> Iterator[Finding]:
    if (written := base_of_run(ledger)) is None:
        return
    try:
        name = base_of_adapter(run / "model")
    except UserError as error:
        yield Finding("base model", "differs", str(error))
        return
    try:
        folder = resolve(name)
    except UserError as error:
        yield Finding("base model", "unknown", f"the adapter's base_model_name_or_path is not found ({error})")
        return
    yield _compared("base model", written["files"], folder, also_new=False)


def _origins(ledger: Mapping[str, Any]) -> Iterator[Finding]:
    """Check the run's origins, which may be gone as long as they are not needed."""
    names = {"model": "began with", "reference": "reference"}
    if "origins" not in ledger:
        yield Finding("began with", "unknown", "this run was written before Penchant recorded what it began with")
    for key, origin in (ledger.get("origins") or {}).items():
        yield _origin(names[key], origin)


def _origin(what: str, origin: Mapping[str, Any]) -> Finding:
    if lies_nowhere(origin):
        return Finding(what, "unknown", f"{origin['name']} was in memory and has no folder")
    folder = Path(origin["path"])
    if folder.is_dir():
        return _compared(what, origin["files"], folder, also_new=False)
    return Finding(what, "unknown", f"{folder} is not there any more")


def _compared(what: str, written: Mapping[str, str], folder: Path, *, also_new: bool) -> Finding:
    if changed := list(changed_files(written, folder, also_new=also_new)):
        return Finding(what, "differs", f"{folder}: {', '.join(changed)}")
    return Finding(what, "same", f"{folder}, {_count(len(written), 'file')}")


def _data(ledger: Mapping[str, Any]) -> Iterator[Finding]:
    if (files := ledger.get("data_files")) is not None:
        for file in files:
            path = Path(file["path"])
            if not path.is_file():
                yield Finding("data", "unknown", f"{path} is not there any more")
            elif file_sha256(path) != file["sha256"]:
                yield Finding("data", "differs", f"{path} has changed")
            else:
                yield Finding("data", "same", str(path))
        return
    paths = [Path(file) for file in ledger.get("data", ())]
    if gone := [path for path in paths if not isfile(path)]:
        yield Finding("data", "unknown", f"{gone[0]} is not found from the current folder")
    elif paths:
        same = digest_of(map(FileSource, paths)) == ledger.get("data_digest")
        yield Finding("data", "same" if same else "differs", ", ".join(map(str, paths)))


def _rows(run: Path, ledger: Mapping[str, Any]) -> Iterator[Finding]:
    for name in ("metrics.jsonl", "samples.jsonl"):
        path = run / name
        if not path.is_file():
            if name in _run_files(ledger) or (name == "metrics.jsonl" and ledger.get("status") == "finished"):
                yield Finding(name, "differs", "is gone")
            continue
        lines = path.read_bytes().split(b"\n")
        bad = [number for number, line in enumerate(lines, 1) if line and not _is_row(line, path)]
        if bad:
            yield Finding(name, "differs", f"line {bad[0]} cannot be read ({_count(len(bad), 'line')} of {len(lines)})")
        else:
            yield _as_recorded(path, ledger, _count(sum(map(bool, lines)), "line"))


def _as_recorded(path: Path, ledger: Mapping[str, Any], text: str) -> Finding:
    """Check an existing file of the run folder. text: its content, in words."""
    written = _run_files(ledger).get(path.name)
    if written is None:
        return Finding(path.name, "unknown", f"{text}; no digest of it was recorded")
    if written != file_sha256(path):
        return Finding(path.name, "differs", "has changed since it was written")
    return Finding(path.name, "same", text)


def _run_files(ledger: Mapping[str, Any]) -> Mapping[str, str]:
    return ledger.get("run_files") or {}


def _is_row(line: bytes, path: Path) -> bool:
    try:
        return bool(row_in(line.decode(), path))
    except ValueError:
        return False


def _checkpoints(run: Path) -> Iterator[Finding]:
    for name, fault in checkpoint_faults(run / "checkpoints").items():
        yield Finding(f"checkpoint {name}", "differs" if fault else "same", fault or "as its manifest says")


def _comparison(run: Path, ledger: Mapping[str, Any]) -> Iterator[Finding]:
    path = run / "comparison.json"
    if path.is_file():
        yield _as_recorded(path, ledger, "the last evaluation")
    elif path.name in _run_files(ledger):
        yield Finding(path.name, "differs", "is gone")


def _report(run: Path, ledger: Mapping[str, Any]) -> Iterator[Finding]:
    if (run / "report.html").is_file():
        yield Finding("report.html", "same", "is there")
    elif ledger.get("status") == "finished":
        yield Finding("report.html", "differs", f"is gone; `penchant report {run}` writes it again")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number:,} {what}s"
