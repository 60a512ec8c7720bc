"""What a run changed, in sentences, whatever was measured."""

from penchant.report.summary import summary


def test_a_summary_of_measures_that_are_not_finite_is_still_a_summary():
    ledger = {"num_held_out_pairs": 3, "unique_tokens_per_second": 1, "peak_memory_bytes": 1, "training_seconds": 1}
    row = {"eval_loss": None, "eval_rewards/accuracies": 0.5, "eval_rewards/margins": None}
    assert summary(ledger, [row])[0] == "held out (3): loss not finite"
    limits = {"eval_rewards/accuracies_low": 0.1, "eval_rewards/accuracies_high": 0.9}
    assert summary(ledger | {"held_out_longer": 0.25}, [row | limits])[0] == (
        "on 3 held-out pairs the model prefers the chosen response in 50.0% (95% interval 10.0% to 90.0%), which "
        "may be chance (the longer response was chosen in 25.0%); loss not finite, mean margin not finite"
    )
