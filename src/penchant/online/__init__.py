"""Training on what the policy itself writes: reinforcement learning from scores, and pairs judged as it learns."""
