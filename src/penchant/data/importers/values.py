"""Whether a value of a row says anything."""

from math import isnan

__all__ = ["says_nothing"]


def says_nothing(value: object) -> bool:
    """Whether a value is none: null, not a number, empty, or a list or object of nothing else."""
    held = [value]
    while held:
        one = held.pop()
        if isinstance(one, (list, dict)):
            held += one.values() if isinstance(one, dict) else one
        elif isinstance(one, float):
            if not isnan(one):
                return False
        elif one is not None and not (isinstance(one, str) and (not one or one.isspace())):
            return False
    return True
