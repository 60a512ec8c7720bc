"""The choice of a matrix product: made once, kept, and harmless where it cannot be."""

import json

import pytest
import torch

from penchant.models import matmul


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    before = torch.get_float32_matmul_precision()
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path / "cache"))
    matmul._measured.cache_clear()
    yield
    matmul._measured.cache_clear()
    torch.set_float32_matmul_precision(before)


@pytest.fixture
def rates(monkeypatch):
    """What a measurement finds, by setting."""
    found = {"highest": 1.0, "medium": 2.0}
    monkeypatch.setattr(matmul, "gemm_rate", lambda: found[torch.get_float32_matmul_precision()])
    monkeypatch.setattr(matmul, "_product_error", lambda: 1e-7)
    return found


def test_the_faster_is_chosen_and_stays_chosen_when_a_busy_machine_would_say_otherwise(rates):
    assert matmul.use_fastest_exact_matmul() == "medium"
    rates["highest"] = 3.0
    matmul._measured.cache_clear()  # as another process
    torch.set_float32_matmul_precision("highest")
    assert matmul.use_fastest_exact_matmul() == "medium"
    assert torch.get_float32_matmul_precision() == "medium"


def test_a_product_that_loses_precision_is_not_chosen_however_fast(rates, monkeypatch):
    monkeypatch.setattr(matmul, "_product_error", lambda: 1e-3)
    assert matmul.use_fastest_exact_matmul() == "highest"


def test_another_number_of_threads_is_another_choice(rates):
    threads = torch.get_num_threads()
    try:
        assert matmul.use_fastest_exact_matmul() == "medium"
        torch.set_num_threads(threads + 1)
        rates["highest"] = 3.0
        assert matmul.use_fastest_exact_matmul() == "highest"
    finally:
        torch.set_num_threads(threads)
    assert matmul.use_fastest_exact_matmul() == "medium"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"precision": "low"}', '{"precision": ["medium"]}', "\udcff"])
def test_a_damaged_choice_is_made_again_and_mended(rates, text):
    file = matmul.choice_file()
    file.parent.mkdir(parents=True)
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert matmul.use_fastest_exact_matmul() == "medium"
    assert json.loads(file.read_text()) == {"precision": "medium"}
    assert list(file.parent.iterdir()) == [file], "nothing else is left there"


def test_a_cache_that_cannot_be_written_costs_no_more_than_the_measurement(rates, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert matmul.use_fastest_exact_matmul() == "medium"


@pytest.mark.slow(threads=1)
def test_a_real_measurement_keeps_the_accuracy_of_fp32():
    matmul.use_fastest_exact_matmul()
    assert matmul._product_error() < 2e-6
