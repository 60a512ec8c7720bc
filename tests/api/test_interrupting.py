"""Ctrl-C while training from Python: a sentence, and what is saved goes on bit for bit."""

import signal

import pytest

import penchant as pt

pytestmark = pytest.mark.usefixtures("ctrl_c_is_heard")


class PressesCtrlC(pt.Callback):
    def on_step(self, training, row):
        if training.step == 2:
            signal.raise_signal(signal.SIGINT)


def test_in_memory_it_raises_interrupted_with_a_sentence(train):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(pt.Interrupted) as stopped:
        train(callbacks=[PressesCtrlC()])
    assert str(stopped.value) == "stopped after step 2 of 3"
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.slow(threads=1)
def test_with_an_output_it_is_saved_and_goes_on_bit_for_bit(train, tmp_path, measured, same_weights):
    straight = train()
    with pytest.raises(pt.Interrupted, match=r"stopped after step 2 of 3.*`?resume") as stopped:
        train(callbacks=[PressesCtrlC()], output=tmp_path / "run")
    assert "\n" not in str(stopped.value)
    assert "--" not in str(stopped.value)
    run = train(output=tmp_path / "run", resume=True)
    assert measured(run) == measured(straight)
    assert same_weights(run.model, straight.model)


@pytest.mark.slow(threads=1)
def test_a_run_is_not_resumed_with_another_model(train, tmp_path):
    with pytest.raises(pt.Interrupted):
        train(callbacks=[PressesCtrlC()], output=tmp_path / "run")
    other = train().model
    with pytest.raises(pt.OutputError, match=r"begun with other values of model\.name"):
        train(other, output=tmp_path / "run", resume=True)
