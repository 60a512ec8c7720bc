"""Studies: many training runs from one start, measured alike, and their combined result: reward against KL.

settings.py           the settings of a study's file
reading.py            read the file strictly: a typo gives a sentence with its line
methods.py            the methods by name: training data, strength setting, and fixed settings
points.py             one run of many: its name, settings, and measurements
own_data.py           the user's preferences and demonstrations, without held-out prompts
remembered.py         the inputs of the ground, stored and compared
ground.py             what all runs share: start, prompts, sampled answers, preferences, learned reward
train_point.py        train a point in its folder
measuring.py          measure a point's answers to the held-out prompts: rewards, wins, KL
going.py              run all points, saving each as it is finished
curves.py             means and intervals by method and strength
at_one_kl.py          interpolate between strengths, and compare methods at one KL
picking.py            pick the best of a sweep within a budget of KL
matched.py            the methods at equal KLs, as numbers and as a table
tables_and_figures.py tables, figures and JSON of a study
study.py              `frontier` and `sweep`
"""

from penchant.studies.methods import METHODS, Method
from penchant.studies.settings import FrontierConfig, SweepConfig
from penchant.studies.study import Frontier, Sweep, frontier, sweep

__all__ = ["METHODS", "Frontier", "FrontierConfig", "Method", "Sweep", "SweepConfig", "frontier", "sweep"]
