"""What `import penchant` offers beside training: functions on models, data and runs, in memory or on disk.

Each returns its result and writes no file unless it is given an `output`. The cache folder ($PENCHANT_CACHE) keeps
models that were fetched and what was measured of this machine. Nothing of the caller's process is left changed.

answers.py    load, sample, pair, judge
measures.py   score, evaluate, rank
folders.py    check, open_run, export, verify, lineage
"""
