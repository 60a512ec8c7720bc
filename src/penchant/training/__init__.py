"""The training loop and what it keeps: checkpoints, ledger, reference cache, metrics."""
