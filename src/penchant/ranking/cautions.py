"""Warnings for intervals: from too few prompts, or from prompts that are all the same."""

__all__ = ["FEW", "FEW_PROMPTS", "ONE", "SAME", "warning_of"]

FEW_PROMPTS = 20
"""Fewer prompts may give too narrow an interval by any method, because they can miss rare cases."""

ONE = "only one prompt: nothing is known about others"
FEW = "only {num_prompts} prompts: an interval from fewer than 20 may be too narrow"
SAME = "every prompt gave the same result, so how much others differ is not known"


def warning_of(num_prompts: int, *, is_same: bool = False) -> str | None:
    """The warning beside an interval, or in its place; None if there is none.

    is_same: all prompts have the same value, so that the width of the interval is unknown.

    Example:
        >>> warning_of(1), warning_of(20)
        ('only one prompt: nothing is known about others', None)
    """
    if num_prompts == 1:
        return ONE
    if is_same:
        return SAME
    return FEW.format(num_prompts=num_prompts) if num_prompts < FEW_PROMPTS else None
