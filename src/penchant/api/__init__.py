"""Everything `import penchant` offers besides training: functions on models, data and runs, in memory or on disk.

Each returns its result and writes no file unless it is given an `output`. The cache folder ($PENCHANT_CACHE) keeps
fetched models and measurements of this machine. The state of the caller's process is left unchanged.
Commands call these functions, so PyTorch is imported only where it is needed.

given.py      read the prompts and data that a caller passes
loading.py    load
sampling.py   sample
pairing.py    pair
judging.py    judge
measures.py   score, evaluate, compare_answers
ranking.py    rank
folders.py    check, advise, plan, open_run, export, compare_runs, verify, lineage
endpoint.py   serve
"""
