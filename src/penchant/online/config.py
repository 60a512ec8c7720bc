"""The settings of `penchant rlhf`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from penchant.objectives.policy_gradient import Aggregation, Ratio
from penchant.training.config import NOT_BY_LOSS, AlarmsConfig, RunConfig, SamplingConfig, Section

__all__ = ["MethodConfig", "Methods", "RLHFConfig"]

Methods = Literal["rloo", "grpo", "ppo", "best_of_n"]
AGGREGATION: dict[str, Aggregation] = {"rloo": "sum", "grpo": "mean", "ppo": "token", "best_of_n": "sum"}
DEFAULTS = {
    "rloo": {"kl_in": "reward", "kl": "sequence", "kl_estimator": "k1"},
    "grpo": {"kl_in": "loss", "kl": "token", "kl_estimator": "k3"},
    "ppo": {"kl_in": "reward", "kl": "token", "kl_estimator": "k1"},
}


class MethodConfig(Section):
    """The RL method, which maximises score - beta KL(policy || reference)."""

    method: Methods = Field(
        "rloo",
        description="rloo: the other responses to the prompt are the baseline; grpo: their mean and spread; ppo: a "
        "value head; best_of_n: next-token training on the best response to each prompt",
    )
    beta: Annotated[float, Field(ge=0)] = Field(
        0.05, description="KL penalty: score lost per nat of KL; the initial value if kl_target is set"
    )
    kl_in: Literal["reward", "loss"] | None = Field(
        None,
        description="where the KL is subtracted: in the reward, where k1 gives the gradient of the KL, or in the loss, "
        "where it gives none; left out: reward, and loss for grpo",
    )
    kl: Literal["token", "sequence"] | None = Field(
        None,
        description="in the reward: each token gets the KL from it onwards, or the whole response's; left "
        "out: sequence for rloo and grpo, token for ppo",
    )
    kl_estimator: Literal["k1", "k2", "k3"] | None = Field(
        None, description="how the KL of a token is estimated from its log-ratio; left out: k1, and k3 for grpo"
    )
    kl_target: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="target KL in nats per response; beta adapts to it (Ziegler et al. 2019); left out: beta is fixed",
    )
    kl_horizon: Annotated[int, Field(gt=0)] = Field(
        1000, description="number of responses over which beta adapts; smaller: faster"
    )
    clip: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2, description="how far a probability may move from the one it was drawn with before its gradient stops"
    )
    ratio: Ratio = Field(
        "token",
        description="what is clipped: each token's probability, the response's (sequence), or the mean of its tokens' "
        "(sequence_mean, GSPO)",
    )
    aggregation: Aggregation | None = Field(
        None,
        description="the tokens' losses are summed per response, averaged per response, averaged per batch, or summed "
        "and divided by max_new_tokens (Dr. GRPO); left out: sum for rloo, mean for grpo, token for ppo",
    )
    scale_rewards: bool = Field(
        True, description="grpo: advantages are divided by the spread of the prompt's scores (off in Dr. GRPO)"
    )
    advantages: str | None = Field(
        None,
        description="an estimator of advantages in place of the method's own: a name that a package adds, or "
        "module:function; its arguments are the rewards of responses and the prompt of each",
    )
    whiten: bool | None = Field(
        None, description="normalise the advantages of a step to mean 0 and variance 1; left out: only for ppo"
    )
    gamma: Annotated[float, Field(gt=0, le=1)] = Field(1.0, description="ppo: discount from token to token")
    lam: Annotated[float, Field(ge=0, le=1)] = Field(
        0.95, description="ppo: lambda of the generalised advantage; 1: no bias from the value, highest variance"
    )
    value_weight: Annotated[float, Field(ge=0)] = Field(0.1, description="ppo: weight of the value head's loss")
    value_clip: Annotated[float, Field(gt=0)] = Field(
        0.2, description="ppo: how far a value may move from its old one before its gradient stops"
    )

    @property
    def charged_in(self) -> str:
        """reward or loss."""
        return self.kl_in or DEFAULTS[self.method]["kl_in"]

    @property
    def charged_by(self) -> str:
        """token or sequence."""
        return self.kl or DEFAULTS[self.method]["kl"]

    @property
    def estimator(self) -> str:
        """k1, k2 or k3."""
        return self.kl_estimator or DEFAULTS[self.method]["kl_estimator"]

    @property
    def whitens(self) -> bool:
        """Whether advantages are whitened."""
        return self.method == "ppo" if self.whiten is None else self.whiten

    @property
    def aggregated(self) -> Aggregation:
        """sum, mean, token or fixed."""
        return self.aggregation or AGGREGATION[self.method]


READ_BY: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("gamma", "lam", "value_weight", "value_clip"), ("ppo",)),
    "scale_rewards": ("grpo",),
    "advantages": ("rloo", "grpo"),
    **dict.fromkeys(
        ("beta", "kl_in", "kl", "kl_estimator", "kl_target", "kl_horizon", "clip", "ratio", "aggregation", "whiten"),
        ("rloo", "grpo", "ppo"),
    ),
}
"""The methods that read each setting."""


class RLHFConfig(RunConfig):
    """`penchant rlhf`; the data are prompts, and optimiser.batch_size counts them."""

    alarms: AlarmsConfig = AlarmsConfig(**NOT_BY_LOSS)
    sampling: SamplingConfig = SamplingConfig()
    rlhf: MethodConfig = MethodConfig()

    @model_validator(mode="after")
    def _fits_together(self) -> RLHFConfig:
        if words := next((words for holds, words in self._conflicts() if holds), None):
            raise ValueError(words)
        return self

    def _conflicts(self) -> list[tuple[bool, str]]:
        """Incompatible settings, each with an error sentence."""
        rlhf, method = self.rlhf, self.rlhf.method
        unread = [name for name, readers in READ_BY.items() if method not in readers and _differs(rlhf, name)]
        are, them = ("is", "it") if len(unread) == 1 else ("are", "them")
        return [
            (bool(unread), f"rlhf.{', rlhf.'.join(unread)} {are} not read by {method}; leave {them} out"),
            (
                self.data.pairing is not None or bool(self.data.min_gap),
                "data.pairing and data.min_gap are not read by rlhf, which makes no pairs; leave them out",
            ),
            (
                method != "ppo" and self.sampling.num_responses < 2,
                f"sampling.num_responses is {self.sampling.num_responses}, but {method} compares the responses to a "
                "prompt; set 2 or more",
            ),
            (
                method == "best_of_n" and self.model.reference is not None,
                "model.reference is not read by best_of_n, which has no reference; leave it out",
            ),
            (
                bool(rlhf.advantages) and not rlhf.scale_rewards,
                "rlhf.scale_rewards is not read where rlhf.advantages names an estimator; leave it out",
            ),
            (
                rlhf.kl is not None and (rlhf.charged_in == "loss" or method == "grpo" or bool(rlhf.advantages)),
                "rlhf.kl is only read where the KL is subtracted from the reward of rloo or ppo without "
                "rlhf.advantages; leave it out",
            ),
        ]


def _differs(section: MethodConfig, name: str) -> bool:
    return bool(getattr(section, name) != MethodConfig.model_fields[name].default)
