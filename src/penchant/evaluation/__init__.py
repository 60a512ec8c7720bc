"""Evaluation: accuracy, win rate, KL, and judges."""
