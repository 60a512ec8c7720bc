"""How often intervals that say 95% hold the truth, where there is little data: the figures of docs/intervals.md.

Run `python benchmarks/coverage.py`; it takes some minutes. Everything is simulated from numbered seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy.special import expit

from penchant.ranking import Method, Votes, fit_bradley_terry, to_elo
from penchant.ranking.group import rank_group
from penchant.ranking.winrate import WinRate, paired_means, win_rate_of
from penchant.statistics import calibration, controlled_win_rate

TRIALS = 1000
Draw = Callable[[np.random.Generator, int], np.ndarray]
Found = dict[tuple[int, int], WinRate]


def main() -> None:
    """Print a table of Markdown for each kind of interval."""
    for title, rows in (
        ("win rate, one comparison a prompt", plain_win_rates()),
        ("win rate, 1 to 7 comparisons a prompt", clustered_win_rates()),
        ("change of a share, one answer a prompt", changed_shares()),
        ("mean, by the distribution of prompts", means()),
        ("win rate with length held equal, 2 answers a prompt", length_controlled()),
        ("calibration, 1 to 3 pairs a prompt", calibrations()),
        ("ratings of 3 items, votes clustered by prompt", ratings()),
    ):
        print(f"\n{title}\n")
        for row in rows:
            print(f"| {' | '.join(map(str, row))} |")


def plain_win_rates() -> Iterator[tuple[object, ...]]:
    """Exact, by counting every outcome: at three chances of winning, and the mean and the least from 50% to 98%."""
    yield "comparisons", "share of ties", "at 50%", "at 80%", "at 95%", "mean", "least"
    yield ("---",) * 7
    for num in (5, 8, 10, 20, 50):
        counts = [(wins, losses) for wins in range(num + 1) for losses in range(num + 1 - wins)]
        found = {(w, n): win_rate_of([1.0] * w + [0.0] * n + [0.5] * (num - w - n)) for w, n in counts}
        for ties in (0.0, 0.2, 0.5):

            def covered(better: float, num: int = num, ties: float = ties, found: Found = found) -> float:
                win, loss, truth = better * (1 - ties), (1 - better) * (1 - ties), better * (1 - ties) + ties / 2
                held = (one for one, rate in found.items() if rate.low <= truth <= rate.high)
                return sum(_chance(num, *one, win, loss, ties) for one in held)

            of_all = [covered(better) for better in np.linspace(0.5, 0.98, 49)]
            shown = (covered(0.5), covered(0.8), covered(0.95), float(np.mean(of_all)), min(of_all))
            yield num, f"{ties:.0%}", *(f"{one:.1%}" for one in shown)


def changed_shares() -> Iterator[tuple[object, ...]]:
    """Exact, by counting every outcome, of shares before and after that do not depend on each other."""
    both = ((0.5, 0.8), (0.9, 0.95), (0.95, 0.98), (0.95, 0.95))
    yield "prompts", *(f"{old:.0%} to {new:.0%}" for old, new in both)
    yield ("---",) * 5
    for num in (5, 10, 20, 50):
        counts = [(won, lost) for won in range(num + 1) for lost in range(num + 1 - won)]
        found = {one: _changed(num, *one) for one in counts}
        covered = []
        for old, new in both:
            win, loss = (1 - old) * new, old * (1 - new)
            held = (one for one, (low, high) in found.items() if low <= new - old <= high)
            covered.append(sum(_chance(num, *one, win, loss, 1 - win - loss) for one in held))
        yield num, *(f"{one:.1%}" for one in covered)


def _changed(num: int, won: int, lost: int) -> tuple[float, float]:
    old = [0.0] * won + [1.0] * (num - won)
    found = paired_means(old, [1.0] * won + [0.0] * lost + [1.0] * (num - won - lost), are_shares=True)
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


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
    """Values that are normal, and skewed ever more: exponential has skewness 2, the last lognormal one 6."""
    worlds: dict[str, tuple[Draw, float]] = {
        "normal": (lambda rng, size: rng.normal(1, 1, size), 1.0),
        "lognormal, sigma 0.5": (lambda rng, size: rng.lognormal(0, 0.5, size), math.exp(0.125)),
        "exponential": (lambda rng, size: rng.exponential(1, size), 1.0),
        "lognormal, sigma 1": (lambda rng, size: rng.lognormal(0, 1, size), math.exp(0.5)),
    }
    yield "prompts", *worlds
    yield ("---",) * 5
    for num_prompts in (5, 10, 20, 50):
        yield num_prompts, *(f"{_mean_held(num_prompts, *world):.1%}" for world in worlds.values())


def _mean_held(num_prompts: int, draw: Draw, truth: float, trials: int = 4 * TRIALS) -> float:
    held, before = 0, [0.0] * num_prompts
    for seed in range(trials):
        found = paired_means(before, draw(np.random.default_rng(seed), num_prompts).tolist())
        held += found.low is not None and found.high is not None and found.low <= truth <= found.high
    return held / trials


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
    truths = {slope: _brier_and_ece(p_N) for slope, p_N in worlds.items()}
    yield "prompts", *(f"{what}, {name}" for name in names.values() for what in ("Brier", "ECE"))
    yield ("---",) * 7
    for num_prompts in (5, 10, 20, 50):
        yield num_prompts, *(f"{one:.1%}" for slope in names for one in _calibrated(num_prompts, slope, truths[slope]))


def _brier_and_ece(p_N: np.ndarray, num_bins: int = 5) -> tuple[float, float]:
    """Of everybody, from the definitions, in bins of equal width from 1/2 to 1."""
    sure_N, right_N = np.maximum(p_N, 1 - p_N), 0.5 + 0.5 * np.sign(p_N - 0.5)
    bin_N = np.minimum(((sure_N - 0.5) * 2 * num_bins).astype(int), num_bins - 1)
    gap_M = np.bincount(bin_N, right_N - sure_N, num_bins)
    return float(np.mean((1 - p_N) ** 2)), float(np.abs(gap_M).sum() / len(p_N))


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
