"""What a run changed, in sentences, whatever was measured."""

from penchant.report.summary import summary

LIMITS = {"low": 0.1, "high": 0.9}


def test_a_summary_of_measures_that_are_not_finite_is_still_a_summary():
    ledger = {"num_held_out_pairs": 3, "unique_tokens_per_second": 1, "peak_memory_bytes": 1, "training_seconds": 1}
    row = {"eval_loss": None, "eval_rewards/accuracies": 0.5, "eval_rewards/margins": None}
    assert summary(ledger, [row])[0] == "held out (3): loss not finite"
    limits = {"eval_rewards/accuracies_low": 0.1, "eval_rewards/accuracies_high": 0.9}
    assert summary(ledger | {"held_out_longer": 0.25}, [row | limits])[0] == (
        "on 3 held-out pairs the model prefers the chosen response in 50.0% (95% interval 10.0% to 90.0%), which "
        "may be chance (the longer response was chosen in 25.0%); loss not finite, mean margin not finite"
    )


def test_numbers_stand_with_their_limits_where_they_have_any():
    row = {"eval_loss": 0.6, "eval_rewards/accuracies": 0.5, "eval_rewards/margins": 0.25}
    row |= {f"eval_rewards/{name}_{end}": value for name in ("accuracies", "margins") for end, value in LIMITS.items()}
    assert "mean margin +0.2500 (+0.1000 to +0.9000)" in summary({"num_held_out_pairs": 3}, [row])[0]
    scores = {"eval_reward": 0.5, "eval_kl": 1.0} | {f"eval_reward_{end}": value for end, value in LIMITS.items()}
    [said] = summary({"num_held_out_prompts": 7}, [scores])
    assert (
        said == "held out (7 prompts): mean score +0.5000 (+0.1000 to +0.9000), 1.00 nats a response from the reference"
    )
