"""The example of docs/rlhf.md runs as it stands there."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rlhf.md"


@pytest.mark.slow
def test_the_example_of_the_page_runs(model):
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    exec(compile(code, str(PAGE), "exec"), {"model": model})
