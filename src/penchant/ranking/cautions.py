"""What an interval is to be read with: too few prompts, or none that differs from another."""

__all__ = ["FEW", "FEW_PROMPTS", "ONE", "SAME", "warning_of"]

FEW_PROMPTS = 20
"""Below it, an interval may be too narrow, however it is made: so few prompts may miss what rare ones do."""

ONE = "only one prompt: nothing can be said of others"
FEW = "only {num_prompts} prompts: an interval from fewer than 20 may be too narrow"
SAME = "every prompt gave the same, so how much others differ is not known"


def warning_of(num_prompts: int, *, is_same: bool = False) -> str | None:
    """What to say beside an interval, or in its place; None where there is nothing to beware of.

    is_same: no prompt differs from another, so that nothing says how wide the interval should be.

    Example:
        >>> warning_of(1), warning_of(20)
        ('only one prompt: nothing can be said of others', None)
    """
    if num_prompts == 1:
        return ONE
    if is_same:
        return SAME
    return FEW.format(num_prompts=num_prompts) if num_prompts < FEW_PROMPTS else None
