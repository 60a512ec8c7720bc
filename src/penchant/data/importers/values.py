"""Interpret the values of a row as any file spells them: empty values, truth values, and numbers."""

from math import isinf, isnan

from penchant.data.verdicts import BadRow
from penchant.wording import shown

__all__ = ["TRUTH", "is_truth", "kind_of", "number_in", "says_nothing", "truth"]

TRUTH: dict[str, bool] = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
"""How json, csv and parquet spell a truth value."""
NO_NUMBER = ("", "n/a", "na", "none", "null", "nan")


def says_nothing(value: object) -> bool:
    """Whether a value is empty: null, NaN, empty, or a list or object of only such values."""
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


def is_truth(value: object) -> bool:
    """Whether it may be a truth value in any spelling; 1 and 0 may be numbers as well."""
    return isinstance(value, bool | int | float | str) and str(value).strip().lower() in TRUTH


def truth(value: object, name: str) -> bool:
    """A truth value as json, csv or parquet spell it. Raises BadRow for anything else."""
    if not is_truth(value):
        fix = "write true or false, or rename it if it says something else"
        raise BadRow("bad_type", f"'{name}' must be true or false, got {value!r}", fix)
    return TRUTH[str(value).strip().lower()]


def number_in(value: object, name: str) -> float | None:
    """A score as json, csv or parquet spell it; None for "N/A" and other marks of a missing value. Raises BadRow."""
    if value is None or (isinstance(value, str) and value.strip().lower() in NO_NUMBER):
        return None
    try:
        number = float("inf") if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = float("inf")
    if isnan(number):
        return None
    if isinf(number):
        raise BadRow(
            "bad_type", f"'{name}' is {shown(value)}, which is not a score", "write a number, or null for none"
        )
    return number


def kind_of(value: object) -> str:
    """The type of a value, in a word."""
    names = {dict: "an object", list: "a list", bool: "a truth value", int: "a number", float: "a number", str: "text"}
    return names.get(type(value), type(value).__name__)
