"""Ranking from comparisons: abilities with intervals, agreement, cycles. numpy and scipy only, no torch.

votes.py          Votes: two items and the outcome of each vote, as columns
connectivity.py   which items cannot be ranked, and why
bradley_terry.py  abilities from votes, with position, covariates, phantom votes
davidson.py       the same, with ties as a separate outcome
prior.py          phantom votes, or a normal distribution of abilities
fit.py            Fit: ranking, differences with intervals, votes still missing
bootstrap.py      intervals from resampled clusters of votes
elo.py            the Elo scale, and the online rule
agreement.py      raw agreement, kappas, alpha
cycles.py         HodgeRank: the part of the votes that no single order explains
ballots.py        all answers, including both-bad, before deciding which count as votes
coded.py          a column of labels stored as numbers
position.py       how often the side shown first wins
quantiles.py      the width of intervals, also for few clusters
method.py         the options of a ranking
group.py          one group of connected items as a table
standings.py      all of the above in one call, as records and as a plain dict
design.py, estimate.py   how a fit is computed: the votes as a linear model, and Newton's method on its likelihood
sandwich.py       intervals that are robust to a wrong model
"""

from penchant.ranking.agreement import (
    Agreement,
    alpha_reading,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    raw_agreement,
)
from penchant.ranking.ballots import Ballots
from penchant.ranking.bootstrap import Bootstrap, bootstrap
from penchant.ranking.bradley_terry import fit_bradley_terry
from penchant.ranking.connectivity import Unrankable, components, refuse_unrankable, strong_components, unrankable
from penchant.ranking.cycles import Cycle, HodgeRank, hodge_rank
from penchant.ranking.davidson import davidson_probabilities, fit_davidson
from penchant.ranking.elo import ELO_PER_NAT, expected_score, log_ability_from_elo, online_elo, strength, to_elo
from penchant.ranking.fit import Fit, Interval
from penchant.ranking.group import Group, Neighbours, Standing
from penchant.ranking.method import Method
from penchant.ranking.position import Share, first_shown_share
from penchant.ranking.prior import Gaussian, PhantomVotes
from penchant.ranking.quantiles import expanded_tail, two_sided_quantile, variance_ratio
from penchant.ranking.standings import Standings, standings
from penchant.ranking.votes import Votes

__all__ = [
    "ELO_PER_NAT",
    "Agreement",
    "Ballots",
    "Bootstrap",
    "Cycle",
    "Fit",
    "Gaussian",
    "Group",
    "HodgeRank",
    "Interval",
    "Method",
    "Neighbours",
    "PhantomVotes",
    "Share",
    "Standing",
    "Standings",
    "Unrankable",
    "Votes",
    "alpha_reading",
    "bootstrap",
    "cohen_kappa",
    "components",
    "davidson_probabilities",
    "expanded_tail",
    "expected_score",
    "first_shown_share",
    "fit_bradley_terry",
    "fit_davidson",
    "fleiss_kappa",
    "hodge_rank",
    "krippendorff_alpha",
    "log_ability_from_elo",
    "online_elo",
    "raw_agreement",
    "refuse_unrankable",
    "standings",
    "strength",
    "strong_components",
    "to_elo",
    "two_sided_quantile",
    "unrankable",
    "variance_ratio",
]
