"""What `import penchant` offers beside training: functions on models, data and runs, in memory or on disk.

Each returns its result and writes no file unless it is given an `output`. The cache folder ($PENCHANT_CACHE) keeps
models that were fetched and what was measured of this machine. Nothing of the caller's process is left changed.
Commands call these functions, so PyTorch is imported where it is needed and not before.

given.py      prompts and data as a caller hands them over
answers.py    load, pair
sampling.py   sample
judging.py    judge
measures.py   score, evaluate, compare_answers
ranking.py    rank
folders.py    check, advise, plan, open_run, export, compare_runs, verify, lineage
endpoint.py   serve
"""
