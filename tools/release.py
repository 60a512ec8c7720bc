"""Build the wheel and the source archive, and try them in fresh environments: `make release`.

For every Python from 3.11 to 3.14 that is found on this machine, with the extras and without, and once from the source
archive: install with pip and all that is needed, `penchant --version`, `import penchant` with the types marked,
`penchant check` of a small file with a small model that is made there, and `examples/first_plot.py`, which trains that
model and draws a plot; from the wheel alone as a notebook too. Which Pythons were not found is said; a check that fails
ends with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
EXTRAS = ("", "all")
FIRST_PLOT = ROOT / "examples" / "first_plot.py"
PAIRS = [
    {"prompt": "What is the sun?", "chosen": "A star, the nearest one.", "rejected": "A lamp."},
    {"prompt": "What is the sea?", "chosen": "Salt water, most of the Earth.", "rejected": "A lake."},
]
SMALL_MODEL = """
from pathlib import Path
from penchant.life.untrained import write_untrained_model
write_untrained_model(Path("model"), ["The sun is a star. The sea is salt water. A lamp is a lamp."] * 50, seed=0)
"""
TYPED = """
import importlib.resources, penchant
assert importlib.resources.files("penchant").joinpath("py.typed").is_file(), "py.typed is missing"
print(penchant.__version__)
"""
LOOKED_AT = """
from pathlib import Path
losses = run.metrics.column("loss")
assert run.ledger["status"] == "finished" and len(losses) > 1, losses
assert losses[-1] < losses[0], losses
assert isinstance(run.model, pt.LanguageModel)
assert Path("loss.png").read_bytes().startswith(b"\\x89PNG"), "there is no plot"
assert "<svg" in run._repr_html_(), "a notebook shows no curves"
Path("loss.png").unlink()
"""
NOTEBOOK = """
import nbclient, nbformat
nbclient.NotebookClient(nbformat.read("first_plot.ipynb", 4), timeout=500).execute()
"""


def main() -> None:
    """Build, compare the contents, and try the wheel wherever it can be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where wheel and archive go")
    parser.add_argument("--python", action="append", choices=PYTHONS, help="only this version; may be repeated")
    parser.add_argument("--only-build", action="store_true", help="build and look at the contents, install nothing")
    arguments = parser.parse_args()
    wheel, archive = build(arguments.dist)
    missing = [*missing_from_wheel(wheel), *missing_from_archive(archive)]
    print(f"{wheel.name}, {archive.name}: " + (f"LACKS {', '.join(missing)}" if missing else "nothing is missing"))
    failed = bool(missing)
    ways = [*((wheel, extras) for extras in EXTRAS), (archive, "")]
    for version in () if arguments.only_build else arguments.python or PYTHONS:
        python = find_python(version)
        if python is None:
            print(f"Python {version}: not on this machine, so not tried")
            continue
        for package, extras in ways:
            problem = try_package(package, python, extras)
            failed |= problem is not None
            named = f"{package.suffix.lstrip('.')} {f'with [{extras}]' if extras else 'without extras'}"
            print(f"Python {version}, {named}: {problem or 'works'}", flush=True)
        ways = [way for way in ways if way[0] == wheel]  # the archive once
    sys.exit(1 if failed else 0)


def build(dist: Path) -> tuple[Path, Path]:
    """The wheel, which is built from the source archive, and the archive. What lay in `dist` before is removed."""
    shutil.rmtree(dist, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(dist), str(ROOT)], check=True, capture_output=True)
    (wheel,), (archive,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    return wheel, archive


def missing_from_wheel(wheel: Path) -> list[str]:
    """Files of the package that the wheel does not hold: templates, styles and languages as well as modules."""
    with zipfile.ZipFile(wheel) as opened:
        held = set(opened.namelist())
    return sorted(set(files_of_package()) - held)


def missing_from_archive(archive: Path) -> list[str]:
    """Of what somebody needs who has the archive alone."""
    with tarfile.open(archive) as opened:
        held = {name.partition("/")[2] for name in opened.getnames()}
    needed = ["LICENSE", "README.md", "pyproject.toml", *(f"src/{name}" for name in files_of_package())]
    return sorted(set(needed) - held)


def files_of_package() -> Iterator[str]:
    """Every file under src/penchant, as the wheel names it."""
    for file in (ROOT / "src" / "penchant").rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file.relative_to(ROOT / "src").as_posix()


def find_python(version: str) -> str | None:
    """An interpreter of this version: by name, or among those that pyenv keeps; None where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for candidate in (f"python{version}", *map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))):
        shown = run([candidate, "--version"], check=False) if shutil.which(candidate) else ""
        if re.match(rf"Python {re.escape(version)}\.", shown):
            return candidate
    return None


def try_package(package: Path, python: str, extras: str) -> str | None:
    """None where all works in an environment of its own, else what did not, with the last line that it said."""
    version = package.name.removesuffix(".tar.gz").split("-")[1]
    with tempfile.TemporaryDirectory(prefix="penchant-release-") as made:
        folder = Path(made)
        (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PAIRS), encoding="utf-8")
        cells = [*first_plot('"model"'), LOOKED_AT]
        (folder / "first_plot.py").write_text("\n".join(cells), encoding="utf-8")
        (folder / "first_plot.ipynb").write_text(json.dumps(as_notebook(cells)), encoding="utf-8")
        inside = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
        own = str(inside / "python")
        pip = [own, "-m", "pip", "install", "--quiet", *constraints()]
        steps = {
            "venv": [python, "-m", "venv", str(folder / "env")],
            "install": [*pip, f"{package}[{extras}]" if extras else str(package)],
            "pip check": [own, "-m", "pip", "check"],
            "penchant --version": [str(inside / "penchant"), "--version"],
            "import penchant": [own, "-c", TYPED],
            "a small model": [own, "-c", SMALL_MODEL],
            "penchant check": [str(inside / "penchant"), "check", "pairs.jsonl", "--model", "model"],
            "a trained model and a plot": [own, "first_plot.py"],
        }
        if package.suffix == ".whl" and not extras:
            steps |= {"install a notebook": [*pip, "nbclient", "ipykernel"], "a notebook": [own, "-c", NOTEBOOK]}
        shown = {}
        for step, command in steps.items():
            try:
                shown[step] = run(command, folder)
            except subprocess.CalledProcessError as error:
                return f"FAILED at {step}: {(error.stderr or error.stdout).strip()[-500:]}"
    if f"penchant {version}\n" not in shown["penchant --version"] or shown["import penchant"].strip() != version:
        return f"FAILED: {version} was built, and another version is installed"
    return None


def first_plot(model: str) -> list[str]:
    """The cells of examples/first_plot.py; `model`: Python that names one which need not be downloaded."""
    _, *cells = FIRST_PLOT.read_text(encoding="utf-8").split("# %%\n")
    return [cell.strip().replace('"smollm2-135m"', model) for cell in cells]


def as_notebook(cells: Sequence[str]) -> dict[str, object]:
    """A notebook that was not run yet."""
    cell = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    rows = [cell | {"id": f"cell-{number}", "source": source} for number, source in enumerate(cells)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": rows}


def constraints() -> list[str]:
    """The versions that the tests pass with."""
    return ["-c", str(ROOT / "constraints.txt")]


def run(command: Sequence[str], folder: Path | None = None, *, check: bool = True) -> str:
    """What a command printed, run without a screen and what this process has on its path and in its settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PENCHANT_", "PYTHON"))}
    kept["MPLBACKEND"] = "Agg"
    done = subprocess.run(list(command), cwd=folder, env=kept, capture_output=True, text=True, check=check)
    return done.stdout


if __name__ == "__main__":
    main()
