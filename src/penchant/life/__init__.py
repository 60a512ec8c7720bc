"""The life of a model in the lab: experiments on real language models, where `penchant.lab` needs none.

experiment.py       the experiment `life`: a small model goes through text, demonstrations and preferences
stages.py           the three stages: data, training, an exam after each
untrained.py        the model it begins with: random weights and a tokenizer of its own
exam.py             what the model can do after a stage
catalogue.py        every experiment by its name, those of installed packages too
completion_tree.py  the experiment `tree`: what a model may answer, and the probability of an answer as a product
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from penchant.lab import Result
from penchant.life.completion_tree import tree
from penchant.life.experiment import life

__all__ = ["EXPERIMENTS", "life", "tree"]

EXPERIMENTS: Mapping[str, Callable[..., Result]] = MappingProxyType({"tree": tree, "life": life})
