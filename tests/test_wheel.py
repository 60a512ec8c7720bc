"""A stranger's notebook: with the wheel installed, ten lines go from `import` to a trained model and a plot."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[1]
PACKED = ("pyproject.toml", "README.md", "LICENSE", "src")
CELLS = (
    "import penchant as pt\nimport matplotlib.pyplot as plt",
    "run = pt.dpo({model!r}, 'pairs.jsonl', chat_template='plain', learning_rate=1e-3, batch_size=4)",
    "figure, axes = plt.subplots()\naxes.plot(run.metrics.column('loss'))\nfigure.savefig('loss.png')",
    "shown = run._repr_html_()",
)
"""At most ten lines, as somebody writes them who has read one page."""
LOOKED_AT = """
import json, pathlib
facts = {"model": isinstance(run.model, pt.LanguageModel), "losses": run.metrics.column("loss"), "at": pt.__file__}
pathlib.Path("facts.json").write_text(json.dumps(facts))
pathlib.Path("shown.html").write_text(shown)
"""


def of_a_stranger():
    """The environment without what this process was told about where Penchant lies."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PENCHANT_"))}


def called(*command, folder):
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, env=of_a_stranger(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of a new environment: the wheel is installed there, what it needs comes from this environment."""
    pytest.importorskip("setuptools", minversion="77", reason="needs setuptools 77, which builds the wheel")
    folder = tmp_path_factory.mktemp("wheel")
    (folder / "source").mkdir()
    for name in PACKED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / "source" / name)
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    called(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, folder / "source", folder=folder)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    venv.create(environment, with_pip=False)
    interpreter = environment / "bin" / "python"
    called(*pip, "--python", interpreter, "install", "--no-deps", "--no-index", wheel, folder=folder)
    site = called(interpreter, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])", folder=folder)
    here = [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    (Path(site.strip()) / "needed.pth").write_text("\n".join(here) + "\n", encoding="utf-8")
    return interpreter


NOTEBOOK = """
import nbclient, nbformat
nbclient.NotebookClient(nbformat.read("stranger.ipynb", 4), timeout=500).execute()
"""


def as_notebook(cells):
    cell = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    rows = [cell | {"id": f"cell-{i}", "source": source} for i, source in enumerate(cells)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": rows}


def carried_out(cells, python, folder):
    """Run the cells in turn, in a notebook where this environment can run one and as a program where it cannot."""
    if importlib.util.find_spec("nbclient") and importlib.util.find_spec("ipykernel"):
        (folder / "stranger.ipynb").write_text(json.dumps(as_notebook(cells)), encoding="utf-8")
        called(python, "-c", NOTEBOOK, folder=folder)
    else:
        (folder / "stranger.py").write_text("import matplotlib\nmatplotlib.use('Agg')\n" + "\n".join(cells))
        called(python, "stranger.py", folder=folder)


def test_a_stranger_comes_from_import_to_a_trained_model_and_a_plot_in_ten_lines(python, stories260k, tmp_path):
    cells = [cell.format(model=str(stories260k)) for cell in CELLS]
    assert sum(len(cell.splitlines()) for cell in cells) <= 10
    pairs = [{"prompt": f"Once {i} cats ", "chosen": "were happy.", "rejected": "sat in a box."} for i in range(24)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs), encoding="utf-8")
    carried_out([*cells, LOOKED_AT], python, tmp_path)
    facts = json.loads((tmp_path / "facts.json").read_text(encoding="utf-8"))
    assert Path(facts["at"]).is_relative_to(python.parents[1]), "the wheel is what was imported"
    assert facts["model"] is True
    assert len(facts["losses"]) > 2
    assert facts["losses"][-1] < facts["losses"][0] == pytest.approx(0.6931, abs=1e-3)
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "shown.html").read_text(encoding="utf-8")
    assert {path.name for path in tmp_path.iterdir()} <= {
        *("pairs.jsonl", "loss.png", "facts.json", "shown.html", "stranger.py", "stranger.ipynb")
    }, "a run without an output writes nothing"
