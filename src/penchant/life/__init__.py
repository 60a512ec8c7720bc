"""The life of a model in the lab: experiments on real language models, which `penchant.lab` does not need.

experiment.py       the experiment `life`: a small model learns from text, demonstrations and preferences
stages.py           the three stages: data, training, and an exam after each
untrained.py        the initial model: random weights and its own tokenizer
exam.py             what the model can do after a stage
catalogue.py        all experiments by name, including those of installed packages
completion_tree.py  the experiment `tree`: a model's possible answers, and the probability of an answer as a product
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from penchant.lab import Result
from penchant.life.completion_tree import tree
from penchant.life.experiment import life

__all__ = ["EXPERIMENTS", "life", "tree"]

EXPERIMENTS: Mapping[str, Callable[..., Result]] = MappingProxyType({"tree": tree, "life": life})
