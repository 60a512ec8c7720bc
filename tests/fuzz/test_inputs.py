"""What the fuzzer checks holds for some hundred random inputs of every kind, and it notices what it should."""

import random

import pytest
from tests.fuzz import inputs


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("kind", inputs.KINDS)
def test_random_inputs_are_loaded_or_refused_and_every_row_is_accounted_for(kind):
    if kind == ".parquet":
        pytest.importorskip("pyarrow", reason="needs pyarrow")
    chance = random.Random(0)
    ends = {inputs.check(kind, chance.randbytes(chance.randint(1, 300))) for _ in range(150)}
    assert ends == {"loaded", "refused"}


def test_an_exception_that_is_no_users_error_is_found(monkeypatch):
    def failing(*_, **__):
        raise OverflowError("a count of 400 digits")

    monkeypatch.setattr(inputs, "LOADERS", dict.fromkeys(inputs.LOADERS, failing))
    with pytest.raises(OverflowError):
        inputs.check(".jsonl", b"")


def test_a_row_that_is_lost_is_found(monkeypatch):
    def losing(path, txt):
        yield from list(whole(path, txt=txt))[1:]

    whole = inputs.scan_rows
    monkeypatch.setattr(inputs, "scan_rows", losing)
    with pytest.raises(AssertionError, match="of 0 rows"):
        inputs.check(".jsonl", bytes(200))
