"""What training commands make of their flags."""

from penchant.cli.training import begin
from penchant.training.config import DPOConfig


def test_a_flag_that_is_not_given_leaves_an_adapter_as_the_settings_say():
    parameters = {"config": None, "settings": ["model.lora.rank=4"], "data": ["pairs.jsonl"], "lora": False, "seed": 0}
    with begin(DPOConfig, parameters, writes=False) as (config, _):
        assert config.model.lora.rank == 4
