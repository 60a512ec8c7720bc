"""Describe objectives in words, for the tables of `penchant objectives`."""

from collections.abc import Iterator

from penchant.objectives.objective import LabelledObjective, Objective
from penchant.objectives.table import LABELLED_OBJECTIVES, OBJECTIVES
from penchant.plugins import added_names, package_of

__all__ = ["every_objective", "facts_of"]


def every_objective() -> Iterator[tuple[str, str, str]]:
    """Yield name, defaults and use of each built-in objective; of those that installed packages add, only the name.

    Example:
        >>> from penchant.objectives.facts import every_objective
        >>> next(every_objective())[:2]
        ('dpo', 'beta 0.1')
    """
    for row in (*OBJECTIVES.values(), *LABELLED_OBJECTIVES.values()):
        yield row.name, _defaults(row), row.when
    for name in added_names("penchant.objectives"):
        yield name, "", f"added by {package_of('penchant.objectives', name)}"


def facts_of(row: Objective) -> dict[str, str]:
    """Formula, parameters with their ranges, the fields it reads, source, and when to use it.

    Example:
        >>> from penchant.objectives import get_objective
        >>> facts_of(get_objective("ipo_mean"))["source"].partition(",")[2]
        ' arXiv 2310.12036, eq. 17, averaged over tokens'
    """
    facts = {
        "objective": row.name,
        "formula": row.formula,
        "defaults": _defaults(row) or "none",
        **{f"  {name}": f"{one.range}; {one.meaning}".removesuffix("; ") for name, one in row.parameters.items()},
        "reads": ", ".join((["reference"] if row.needs_reference else []) + sorted(row.reads)) or "the policy alone",
        "log-probs": "averaged over tokens" if row.normalisation == "mean" else "summed over tokens",
    }
    if row.paper:
        address = row.paper.arxiv if row.paper.arxiv.startswith("https:") else f"arXiv {row.paper.arxiv}"
        facts["source"] = f"{row.paper.title}, {address}, {row.paper.equation}"
    if row.when:
        facts["when"] = row.when
    if isinstance(row, LabelledObjective):
        facts["data"] = "responses labelled good or bad (prompt, completion, label), or pairs taken apart"
    if row.batch_coupled:
        facts["training"] = "compares all pairs of a batch with each other, which costs one more forward pass"
    if "kl" in row.reads:
        facts["training"] = "runs the reference in every step: one more forward pass, and its weights but for LoRA"
    return facts


def _defaults(row: Objective) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in row.defaults.items())
