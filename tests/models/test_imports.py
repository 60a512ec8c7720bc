"""What loading a model imports: no peft for a plain one, and with peft nothing that would fetch compiled code."""

import subprocess
import sys

import pytest

import penchant as pt

# As peft and bitsandbytes begin to be imported, this tries to import `kernels`, as the latter does on some CPUs.
WATCH = """
import sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "peft.auto" or name.startswith("bitsandbytes."):
            try:
                import kernels
            except ImportError:
                return
            print("could fetch code:", name)

sys.meta_path.insert(0, Watch())
import penchant as pt
from penchant.models.adapters import is_adapted

model = pt.load(sys.argv[1], chat_template="plain")
print("adapter" if model.is_adapter else "plain", "peft" in sys.modules, any(map(is_adapted, model.network.modules())))
"""


@pytest.mark.parametrize("kind", ["plain", "adapter"])
def test_a_plain_model_needs_no_peft_and_an_adapter_lets_nothing_be_fetched(kind, stories260k, tmp_path):
    (tmp_path / "kernels.py").write_text("")
    folder = stories260k
    if kind == "adapter":
        pairs = [{"prompt": "Once", "chosen": " upon a time", "rejected": " more"}]
        settings = {"model.chat_template": "plain", "optimiser.max_steps": 1}
        pt.dpo(folder, pairs, lora=True, objective="simpo", settings=settings, output=tmp_path / "run")
        folder = tmp_path / "run" / "model"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{WATCH}", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout.splitlines() == [f"{kind} {kind == 'adapter'} {kind == 'adapter'}"], done.stdout + done.stderr
