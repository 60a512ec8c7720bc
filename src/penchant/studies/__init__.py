"""Studies: many training runs from one start, each measured alike, and what they say together of reward against KL.

settings.py   what a file may say
reading.py    the file, read strictly: a typo is a sentence with its line
methods.py    the methods by name: what each is trained on, and which setting is its strength
points.py     one run of many: its name, its settings, and what was measured of it
own_data.py   preferences and demonstrations of one's own, without prompts that are measured on
remembered.py what the ground is made of, kept and compared
ground.py     what all runs share: start, prompts, sampled answers, preferences, learned reward
training.py   a point trained in its folder
measuring.py  a point's answers to the held-out prompts: rewards, wins, KL
going.py      through all points, each written whole as it is done
curves.py     means and intervals by method and strength
at_one_kl.py  what lies between strengths, and how methods differ there
picking.py    of a sweep: the best within a budget of KL
matched.py    the methods at the same KLs, as numbers and as a table
shown.py      tables, figures and JSON of it
run.py        `frontier` and `sweep`
"""

from penchant.studies.methods import METHODS, Method
from penchant.studies.run import Frontier, Sweep, frontier, sweep
from penchant.studies.settings import FrontierConfig, SweepConfig

__all__ = ["METHODS", "Frontier", "FrontierConfig", "Method", "Sweep", "SweepConfig", "frontier", "sweep"]
