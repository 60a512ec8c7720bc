"""A stranger's notebook: with the wheel installed, ten lines go from `import` to a trained model and a plot.

The lines are examples/first_plot.py, and `make release` runs the same in environments that it installs everything into.
"""

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
LOOKED_AT = """
import json, pathlib
facts = {"model": isinstance(run.model, pt.LanguageModel), "losses": run.metrics.column("loss"), "at": pt.__file__}
pathlib.Path("facts.json").write_text(json.dumps(facts))
pathlib.Path("shown.html").write_text(run._repr_html_())
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


@pytest.fixture(scope="module")
def release():
    spec = importlib.util.spec_from_file_location("release", ROOT / "tools" / "release.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def carried_out(cells, python, folder, release):
    """Run the cells in turn, in a notebook where this environment can run one and as a program where it cannot."""
    if importlib.util.find_spec("nbclient") and importlib.util.find_spec("ipykernel"):
        (folder / "first_plot.ipynb").write_text(json.dumps(release.as_notebook(cells)), encoding="utf-8")
        called(python, "-c", release.NOTEBOOK, folder=folder)
    else:
        (folder / "first_plot.py").write_text("import matplotlib\nmatplotlib.use('Agg')\n" + "\n".join(cells))
        called(python, "first_plot.py", folder=folder)


def test_a_stranger_comes_from_import_to_a_trained_model_and_a_plot_in_ten_lines(
    python, release, stories260k, tmp_path
):
    cells = release.first_plot(f'{str(stories260k)!r}, chat_template="plain"')
    assert len([line for cell in cells for line in cell.splitlines() if line]) <= 10
    carried_out([*cells, LOOKED_AT], python, tmp_path, release)
    facts = json.loads((tmp_path / "facts.json").read_text(encoding="utf-8"))
    assert Path(facts["at"]).is_relative_to(python.parents[1]), "the wheel is what was imported"
    assert facts["model"] is True
    assert len(facts["losses"]) > 2
    assert facts["losses"][-1] < facts["losses"][0] == pytest.approx(0.6931, abs=1e-3)
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "shown.html").read_text(encoding="utf-8")
    assert {path.name for path in tmp_path.iterdir()} <= {
        *("loss.png", "facts.json", "shown.html", "first_plot.py", "first_plot.ipynb")
    }, "a run without an output writes nothing"
