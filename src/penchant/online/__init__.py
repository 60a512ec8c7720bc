"""Training on what the policy itself writes: reinforcement learning from a judge's scores."""
