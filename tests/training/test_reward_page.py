"""The examples of docs/reward.md run as they stand there, one after the other, and give one score for one text."""

import contextlib
import io
import re
from functools import partial
from pathlib import Path

import pytest

import penchant as pt

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reward.md"


@pytest.mark.slow(threads=1)
@pytest.mark.filterwarnings("ignore")
def test_the_examples_of_the_page_run_and_agree(stories260k, tmp_path, monkeypatch):
    """With a smaller model and a chat template, as this one has none."""
    template = tmp_path / "template.jinja"
    template.write_text(
        "{% for m in messages %}{{ m['role'] }}:\n{{ m['content'] }}{{ eos_token }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant:\n{% endif %}",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pt, "reward", partial(pt.reward, chat_template=str(template), learning_rate=1e-3))
    made, read = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(made.replace("smollm2-135m", str(stories260k)), str(PAGE), "exec"), {})
        exec(compile(read, str(PAGE), "exec"), {})
    loss, _, ours, theirs = said.getvalue().splitlines()
    assert float(loss) == pytest.approx(0.6931, abs=1e-4)
    assert float(ours) == pytest.approx(float(theirs), abs=1e-4)
