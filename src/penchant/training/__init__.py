"""Training: the loop and what it records: checkpoints, ledger, reference cache, metrics."""
