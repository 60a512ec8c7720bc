"""Ranking what people compared: abilities with intervals, agreement, cycles. numpy and scipy only, no torch.

votes.py          Votes: who met whom and who won, as columns
connectivity.py   which items cannot be ranked, and why
bradley_terry.py  abilities from votes, with position, covariates, phantom votes
davidson.py       the same with ties as an outcome of their own
prior.py          phantom votes, or a normal distribution of abilities
fit.py            Fit: ranking, differences with intervals, votes still missing
bootstrap.py      intervals from clusters of votes drawn again
elo.py            the Elo scale, and the online rule
agreement.py      raw agreement, kappas, alpha
cycles.py         HodgeRank: what no single order explains
design.py, newton.py, sandwich.py, estimate.py   how a fit is made
"""

from penchant.ranking.agreement import Agreement, cohen_kappa, fleiss_kappa, krippendorff_alpha, raw_agreement
from penchant.ranking.bootstrap import Bootstrap, bootstrap
from penchant.ranking.bradley_terry import fit_bradley_terry
from penchant.ranking.connectivity import Unrankable, components, refuse_unrankable, strong_components, unrankable
from penchant.ranking.cycles import Cycle, HodgeRank, hodge_rank
from penchant.ranking.davidson import davidson_probabilities, fit_davidson
from penchant.ranking.elo import ELO_PER_NAT, expected_score, log_ability_from_elo, online_elo, strength, to_elo
from penchant.ranking.fit import Fit, Interval
from penchant.ranking.prior import Gaussian, PhantomVotes
from penchant.ranking.votes import Votes

__all__ = [
    "ELO_PER_NAT",
    "Agreement",
    "Bootstrap",
    "Cycle",
    "Fit",
    "Gaussian",
    "HodgeRank",
    "Interval",
    "PhantomVotes",
    "Unrankable",
    "Votes",
    "bootstrap",
    "cohen_kappa",
    "components",
    "davidson_probabilities",
    "expected_score",
    "fit_bradley_terry",
    "fit_davidson",
    "fleiss_kappa",
    "hodge_rank",
    "krippendorff_alpha",
    "log_ability_from_elo",
    "online_elo",
    "raw_agreement",
    "refuse_unrankable",
    "strength",
    "strong_components",
    "to_elo",
    "unrankable",
]
