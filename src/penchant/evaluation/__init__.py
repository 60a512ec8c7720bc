"""What the training changed: accuracy, win rate, KL, judges."""
