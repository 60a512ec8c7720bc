"""How often intervals that say 95% hold the truth, where there is little data: the figures of docs/intervals.md.

Run `python benchmarks/coverage.py`; it takes some minutes. Everything is simulated from numbered seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.special import expit

from penchant.ranking import Method, Votes, fit_bradley_terry, to_elo
from penchant.ranking.group import rank_group
from penchant.ranking.winrate import paired_means, win_rate, win_rate_of
from penchant.statistics import brier_score, calibration, controlled_win_rate, expected_calibration_error

TRIALS = 1000


def main() -> None:
    """Print a table of Markdown for each kind of interval."""
    for title, rows in (
        ("win rate, one comparison a prompt", plain_win_rates()),
        ("win rate, 1 to 7 comparisons a prompt", clustered_win_rates()),
        ("mean difference, 3 responses a prompt", means()),
        ("win rate with length held equal, 2 answers a prompt", length_controlled()),
        ("calibration, 1 to 3 pairs a prompt", calibrations()),
        ("ratings of 3 items, votes clustered by prompt", ratings()),
    ):
        print(f"\n{title}\n")
        for row in rows:
            print(f"| {' | '.join(map(str, row))} |")


def plain_win_rates() -> Iterator[tuple[object, ...]]:
    """Exact, by counting every outcome: the mean and the least coverage over chances of winning from 50% to 98%."""
    yield "comparisons", "share of ties", "mean coverage", "least coverage"
    yield ("---",) * 4
    for num in (5, 10, 20, 50):
        counts = [(wins, losses) for wins in range(num + 1) for losses in range(num + 1 - wins)]
        found = {one: win_rate(*one, num - sum(one)) for one in counts}
        for ties in (0.0, 0.2, 0.5):
            covered = []
            for better in np.linspace(0.5, 0.98, 49):
                win, loss, truth = better * (1 - ties), (1 - better) * (1 - ties), better * (1 - ties) + ties / 2
                held = (one for one in counts if found[one].low <= truth <= found[one].high)
                covered.append(sum(_chance(num, *one, win, loss, ties) for one in held))
            yield num, f"{ties:.0%}", f"{np.mean(covered):.1%}", f"{min(covered):.1%}"


def _chance(num: int, wins: int, losses: int, win: float, loss: float, tie: float) -> float:
    ways = math.comb(num, wins) * math.comb(num - wins, losses)
    return float(ways * win**wins * loss**losses * tie ** (num - wins - losses))


def clustered_win_rates() -> Iterator[tuple[object, ...]]:
    """The least over chances of winning of 50%, 80% and 95%, by how much answers to one prompt go together."""
    yield "prompts", *(f"correlation {together:g}" for together in (0.01, 0.3, 0.8))
    yield ("---",) * 4
    for num_prompts in (5, 10, 20, 50):
        yield num_prompts, *(f"{_clustered(num_prompts, together):.1%}" for together in (0.01, 0.3, 0.8))


def _clustered(num_prompts: int, together: float) -> float:
    covered, spread = [], 1 / together - 1
    for better in (0.5, 0.8, 0.95):
        held = 0
        for seed in range(TRIALS):
            rng = np.random.default_rng(seed)
            prompts = np.arange(num_prompts).repeat(rng.integers(1, 8, num_prompts))
            chance = rng.beta(better * spread, (1 - better) * spread, num_prompts)[prompts]
            found = win_rate_of((rng.random(len(prompts)) < chance).astype(float).tolist(), prompts.tolist())
            held += found.low <= better <= found.high
        covered.append(held / TRIALS)
    return min(covered)


def means() -> Iterator[tuple[object, ...]]:
    """Differences that are normal, and that are skewed as an exponential distribution is."""
    yield "prompts", "normal", "skewed"
    yield ("---",) * 3
    for num_prompts in (5, 10, 20, 50):
        prompts, held = np.arange(num_prompts).repeat(3), [0, 0]
        for seed in range(TRIALS):
            rng = np.random.default_rng(seed)
            for kind, of_prompt in enumerate((rng.normal(1, 1, num_prompts), rng.exponential(1, num_prompts))):
                after = of_prompt[prompts] + rng.normal(size=len(prompts))
                found = paired_means(np.zeros(len(prompts)).tolist(), after.tolist(), prompts.tolist())
                held[kind] += found.low is not None and found.high is not None and found.low <= 1 <= found.high
        yield num_prompts, *(f"{one / TRIALS:.1%}" for one in held)


def length_controlled() -> Iterator[tuple[object, ...]]:
    """The win rate at equal length, by the true one; fewer trials, as every one fits 200 models."""
    rates = {
        theta: float(expit(theta + np.random.default_rng(9).normal(size=200_000)).mean()) for theta in (0, 1.4, 2.5)
    }
    yield "prompts", *(f"true share {rate:.0%}" for rate in rates.values())
    yield ("---",) * 4
    draw = np.random.default_rng(0)
    for num_prompts in (5, 10, 20, 50):
        yield num_prompts, *(f"{_at_equal_length(draw, num_prompts, *one):.1%}" for one in rates.items())


def _at_equal_length(
    draw: np.random.Generator, num_prompts: int, theta: float, truth: float, trials: int = 150
) -> float:
    prompts, held = np.repeat(np.arange(num_prompts), 2), 0
    for _ in range(trials):
        longer, of_prompt = np.tanh(draw.normal(0.7, 1, len(prompts))), draw.normal(size=num_prompts)
        won = draw.random(len(prompts)) < expit(theta + longer + of_prompt[prompts])
        found = controlled_win_rate(won.astype(float).tolist(), longer[:, None], prompts.tolist(), num_resamples=200)
        held += found.low <= truth <= found.high
    return held / trials


def calibrations() -> Iterator[tuple[object, ...]]:
    """Brier score and ECE, of margins that are right as often as they say, and twice or ten times too sure."""
    names = {1.0: "calibrated", 0.5: "twice too sure", 0.1: "ten times too sure"}
    worlds = {slope: _judged(np.random.default_rng(10**6), 400_000, slope)[0] for slope in names}
    truths = {
        slope: (brier_score(p_N, np.ones(len(p_N))), expected_calibration_error(p_N, np.ones(len(p_N))))
        for slope, p_N in worlds.items()
    }
    yield "prompts", *(f"{what}, {name}" for name in names.values() for what in ("Brier", "ECE"))
    yield ("---",) * 7
    for num_prompts in (5, 10, 20, 50):
        yield num_prompts, *(f"{one:.1%}" for slope in names for one in _calibrated(num_prompts, slope, truths[slope]))


def _calibrated(num_prompts: int, slope: float, truths: tuple[float, float]) -> tuple[float, float]:
    held = [0, 0]
    for seed in range(TRIALS):
        found = calibration(*_judged(np.random.default_rng(seed), num_prompts, slope))
        for place, (one, truth) in enumerate(zip((found.brier, found.ece), truths, strict=True)):
            held[place] += one.low is not None and one.high is not None and one.low <= truth <= one.high
    return held[0] / TRIALS, held[1] / TRIALS


def _judged(rng: np.random.Generator, num_prompts: int, slope: float) -> tuple[np.ndarray, list[int]]:
    """p(chosen) of pairs whose margins are right with probability sigmoid(slope |margin|), alike within a prompt."""
    prompts = np.arange(num_prompts).repeat(rng.integers(1, 4, num_prompts))
    size = abs(rng.normal(0.6, 1, len(prompts)) + rng.normal(0, 0.7, num_prompts)[prompts])
    right = rng.random(len(prompts)) < expit(slope * size)
    return expit(np.where(right, size, -size)), prompts.tolist()


def ratings() -> Iterator[tuple[object, ...]]:
    """Of `penchant rank` with its defaults; an item's ability differs by 0.7 (standard deviation) between prompts."""
    yield "prompts", "votes", "ratings", "differences of neighbours"
    yield ("---",) * 4
    many = fit_bradley_terry(_votes(10**6, 20_000, 200_000), covariance="model").abilities
    for num_prompts, num_votes in ((10, 60), (10, 150), (20, 150), (40, 150), (150, 150)):
        held, num = np.zeros(2), np.zeros(2)
        for seed in range(TRIALS // 2):
            group = rank_group(_votes(seed, num_prompts, num_votes), Method(), {})
            ratings = [one.low <= to_elo(many[one.item]) <= one.high for one in group.standings]
            apart = [(one, to_elo(many[one.better]) - to_elo(many[one.worse])) for one in group.neighbours]
            held += sum(ratings), sum(one.low <= truth <= one.high for one, truth in apart)
            num += len(ratings), len(apart)
        yield num_prompts, num_votes, *(f"{share:.1%}" for share in held / num)


def _votes(seed: int, num_prompts: int, num_votes: int) -> Votes:
    rng, ability = np.random.default_rng(seed), np.array([0.6, 0.0, -0.6])
    left_V = rng.integers(3, size=num_votes)
    right_V = (left_V + rng.integers(1, 3, size=num_votes)) % 3
    prompt_V = np.arange(num_votes) % num_prompts
    of_prompt = ability + rng.normal(0, 0.7, (num_prompts, 3))
    difference_V = of_prompt[prompt_V, left_V] - of_prompt[prompt_V, right_V]
    outcome_V = np.where(rng.random(num_votes) < 1 / (1 + np.exp(-difference_V)), 1, -1)
    return Votes(tuple("abc"), left_V, right_V, outcome_V, np.ones(num_votes), clusters={"prompt": prompt_V})


if __name__ == "__main__":
    main()
