"""What both sides of a benchmark share: child processes, peak memory, the machine in one line, tables.

Nothing but Python's own library, as both sides and the script that starts them import it.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PACKAGES = ("penchant", "trl", "torch", "transformers", "peft")


def refuse(sentence: str) -> None:
    """Stop with a sentence that says what to do."""
    print(f"benchmark: {sentence}", file=sys.stderr)
    sys.exit(2)


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def peak_bytes() -> int:
    """The most memory this process has held.

    Linux hands the peak of the process that started this one on to it, so whoever starts a measured process stays
    small: the orchestrating script imports nothing but this file.
    """
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def versions() -> dict[str, str]:
    """Versions of the packages that matter, as far as this interpreter has them."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def run_child(
    interpreter: str, script: str, job: Mapping[str, Any], threads: int | None = None, seconds: float | None = None
) -> dict[str, Any]:
    """Run a benchmark script in a fresh process on `job` and return the JSON object it wrote.

    A process that fails returns {"failed": why}: one that ran out of memory, or takes more than so many seconds, must
    not take the other results with it.
    """
    with tempfile.TemporaryDirectory() as scratch:
        job_file, result_file = Path(scratch) / "job.json", Path(scratch) / "result.json"
        write_json(job_file, job)
        environment = {
            **os.environ,
            "TOKENIZERS_PARALLELISM": "false",
            "TRANSFORMERS_VERBOSITY": "error",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_DATASETS_CACHE": scratch,
            "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
            "TQDM_DISABLE": "1",
            **job.get("environment", {}),
        }
        if threads is not None:
            environment["OMP_NUM_THREADS"] = str(threads)
        command = [interpreter, str(HERE / script), str(job_file), str(result_file)]
        try:
            process = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"it was not done after {seconds:.0f} s"}
        if process.returncode == 0 and result_file.is_file():
            return dict(read_json(result_file))
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        return {"failed": f"killed by {name}" + (", out of memory" if name == "SIGKILL" else "")}
    lines = [line for line in process.stderr.splitlines() if line.strip()]
    print("\n".join(lines[-12:]), file=sys.stderr)
    return {"failed": lines[-1].strip() if lines else f"exit code {process.returncode}"}


def machine() -> dict[str, Any]:
    """Processor, its class of vector instructions, cores and memory."""
    model, flags = platform.processor() or platform.machine(), set()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model = value.strip()
            elif key.strip() == "flags":
                flags = set(value.split())
    classes = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_bf16": "AVX-512 BF16", "amx_tile": "AMX"}
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": model,
        "vector_instructions": [name for flag, name in classes.items() if flag in flags],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(memory / 1e9, 1),
    }


def machine_line(facts: Mapping[str, Any], threads: int | None, *sides: Mapping[str, str]) -> str:
    """The machine and the library versions of each side in one line."""
    vectors = ", ".join(facts["vector_instructions"]) or "no known vector extension"
    libraries = "; ".join(", ".join(f"{name} {number}" for name, number in side.items()) for side in sides if side)
    return (
        f"{facts['processor']}, {facts['cores']} cores ({vectors}), {facts['memory_gb']} GB, {facts['system']}, "
        f"{threads} threads; {libraries}"
    )


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns also line up in a terminal."""
    cells = [list(headers), *(list(row) for row in rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(headers))]

    def line(row: Sequence[str]) -> str:
        right = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        return "| " + " | ".join([row[0].ljust(widths[0]), *right]) + " |"

    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])


def number(value: float | None, digits: int = 3) -> str:
    """A figure with so many significant digits, or a dash where there is none."""
    if value is None:
        return "-"
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    text = f"{value:.{digits}g}"
    return f"{value:,.0f}" if "e" in text or abs(value) >= 1000 else text
