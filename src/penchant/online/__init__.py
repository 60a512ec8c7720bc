"""Online training on the policy's own samples: reinforcement learning from scores, and online DPO."""
