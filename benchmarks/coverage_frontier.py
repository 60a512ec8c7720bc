"""How often the intervals of `penchant frontier` at one KL hold the truth: the figures of docs/frontier.md.

Run `python benchmarks/coverage_frontier.py`; it takes some minutes. Everything is simulated from numbered seeds.

Shapes: S seeds, G prompts, N answers of one seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.stats import beta, norm

from penchant.studies.at_one_kl import at_kl
from penchant.studies.curves import Place, mean_over, place_of
from penchant.studies.points import Measured, Point

NUM_PROMPTS, SHARES = (5, 10, 20, 65), (0.5, 0.8, 0.95, 0.99)
ANSWERS, ALIKE = 4, 0.3
"""Answers to each prompt, and their correlation within one."""
FAR, NEAR, WHERE = 4.0, 1.0, 2.25
"""KLs of two strengths, and where curves are compared: half way between them in sqrt(KL)."""


def main() -> None:
    """Print a table of Markdown for each kind of value."""
    for title, rows in (
        ("win rate over the start at one KL, and by how much it differs", wins()),
        ("true reward at one KL, and by how much it differs", rewards()),
        ("means over prompts and seeds", seeds()),
        ("upper limits of skewed KLs that lie below the truth", too_low()),
    ):
        print(f"\n{title}\n")
        for row in rows:
            print(f"| {' | '.join(map(str, row))} |")


def wins(trials: int = 1000) -> Iterator[tuple[object, ...]]:
    """By prompts and true share: between two strengths, between the start and one, and less another method's."""
    yield (
        "prompts",
        "true share",
        "between two strengths",
        "start and one strength",
        "less an equal method",
        "a better one less it",
    )
    yield ("---",) * 6
    for num_prompts in NUM_PROMPTS:
        for share in SHARES:
            yield num_prompts, f"{share:.0%}", *(f"{one:.1%}" for one in win_coverage(num_prompts, share, trials))


def win_coverage(num_prompts: int, share: float, trials: int) -> tuple[float, float, float, float]:
    """Of a method that wins with this chance at the KL; the better one of the last differences loses half as often."""
    step, better, start_G = min(0.05, (1 - share) / 2), 1 - (1 - share) / 2, np.full(num_prompts, 0.5)
    from_start = 0.5 + (share - 0.5) * np.sqrt(WHERE / FAR)
    held: list[list[bool]] = []
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        ease_G = rng.random(num_prompts)
        one, two = (_won(rng, ease_G, {NEAR: share - step, FAR: share + step}) for _ in range(2))
        third = _won(rng, ease_G, {NEAR: better - step / 2, FAR: better + step / 2})
        single = _won(rng, ease_G, {FAR: share})
        found = [at_kl(places, WHERE, "win", start_G) for places in (one, single, two, third)]
        if None in found:
            continue  # by chance the curve ends before: nothing is said of it
        between, alone, same, best = found
        limits = [
            (between.found, share),
            (alone.found, from_start),
            (same.less(between), 0.0),
            (best.less(between), better - share),
        ]
        held.append([one.low <= truth <= one.high for one, truth in limits])
    return tuple(np.mean(held, axis=0).tolist())


def rewards(trials: int = 1000) -> Iterator[tuple[object, ...]]:
    """Rewards whose prompts differ normally, and as an exponential distribution does."""
    yield "prompts", "normal", "skewed", "difference, normal", "difference, skewed"
    yield ("---",) * 5
    for num_prompts in NUM_PROMPTS:
        cells = [reward_coverage(num_prompts, kind, trials) for kind in ("normal", "skewed")]
        yield num_prompts, *(f"{cell[i]:.1%}" for i in (0, 1) for cell in cells)


def reward_coverage(num_prompts: int, kind: str, trials: int) -> tuple[float, float]:
    """Between two strengths whose rewards are 0.4 and 0.6, the start's being 0; and less another method's."""
    held = np.zeros(2)
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        of_G = (rng.normal(0, 1, num_prompts) if kind == "normal" else rng.exponential(1, num_prompts) - 1) / 2
        both = [
            [_place(rng, kl, mean + of_G.repeat(ANSWERS) + rng.normal(0, 0.3, num_prompts * ANSWERS)) for kl, mean in
             ((NEAR, 0.4), (FAR, 0.6))]
            for _ in range(2)
        ]  # fmt: skip
        one, two = (at_kl(places, WHERE, "true", np.zeros(num_prompts)) for places in both)
        over = two.less(one)
        held += one.found.low <= 0.5 <= one.found.high, over.low <= 0 <= over.high
    return tuple((held / trials).tolist())


def seeds(trials: int = 2000) -> Iterator[tuple[object, ...]]:
    """By how many seeds, and by how much they differ: standard deviations, of that between prompts."""
    spreads = (0.0, 0.1, 0.3, 0.6)
    yield "seeds", "prompts", *(f"seeds differ by {spread:g}" for spread in spreads)
    yield ("---",) * 6
    for num_seeds in (1, 2, 3, 5):
        for num_prompts in (10, 65):
            yield num_seeds, num_prompts, *(f"{_seeds(num_seeds, num_prompts, one, trials):.1%}" for one in spreads)


def _seeds(num_seeds: int, num_prompts: int, spread: float, trials: int) -> float:
    held = 0
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        of_both = rng.normal(0, 0.76, (num_seeds, num_prompts))  # four answers whose correlation is 0.3
        found = mean_over(rng.normal(0, 1, num_prompts) + rng.normal(0, spread, (num_seeds, 1)) + of_both)
        held += found.low <= 0 <= found.high
    return held / trials


def too_low(trials: int = 20000) -> Iterator[tuple[object, ...]]:
    """How often a KL that is the budget itself counts as surely within: prompts differ as an exponential does."""
    yield "prompts", "upper limit below the truth"
    yield "---", "---"
    for num_prompts in NUM_PROMPTS:
        drawn = np.random.default_rng(0).exponential(1, (trials, 1, num_prompts))
        yield num_prompts, f"{np.mean([mean_over(value_SG).high < 1 for value_SG in drawn]):.1%}"


def _won(rng: np.random.Generator, ease_G: np.ndarray, shares: dict[float, float]) -> list[Place]:
    """A curve by KL: how often it wins over the start. What is easy to win is so for every model."""
    spread, places = 1 / ALIKE - 1, []
    for kl, share in shares.items():
        mixed_G = norm.cdf(0.8 * norm.ppf(ease_G) + 0.6 * rng.normal(size=len(ease_G)))
        chance_G = beta.ppf(mixed_G, share * spread, (1 - share) * spread)
        places.append(_place(rng, kl, (rng.random(len(ease_G) * ANSWERS) < chance_G.repeat(ANSWERS)) - 0.5))
    return places


def _place(rng: np.random.Generator, kl: float, true_N: Sequence[float] | np.ndarray) -> Place:
    """A strength whose answers have these rewards, and KLs of this mean; the start's rewards are 0."""
    num = len(true_N)
    prompts = tuple(map(str, np.arange(num // ANSWERS).repeat(ANSWERS)))
    zeros, kl_N = (0.0,) * num, kl * rng.gamma(4, 0.25, num)
    start = Measured("start", {}, prompts, zeros, zeros, zeros, (1,) * num)
    found = Measured("a", {}, prompts, tuple(map(float, true_N)), zeros, tuple(kl_N.tolist()), (1,) * num)
    return place_of(Point("a", "dpo", f"{kl:g}", 0, "judge", {}), {0: found}, start)


if __name__ == "__main__":
    main()
