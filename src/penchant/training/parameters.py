"""Build settings for the parameters of objectives from their rows: name, range and meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, TypeAdapter, create_model

from penchant.no_booleans import no_boolean
from penchant.objectives import LABELLED_OBJECTIVES, OBJECTIVES, Parameter, row_in_table

__all__ = ["ParameterSettings", "check_parameters"]

ROWS = (*OBJECTIVES.values(), *LABELLED_OBJECTIVES.values())
NUMBERS = TypeAdapter(dict[str, Annotated[FiniteFloat | None, BeforeValidator(partial(no_boolean, float))]])


def check_parameters(objective: object, given: Mapping[str, Any]) -> dict[str, float | None]:
    """The parameters that were set, and None for all others of the table. Raises ValidationError.

    Parameters of an outside objective may have any name: only its code knows them, and settings run no code.
    """
    known = ParameterSettings.model_fields
    strange = {} if row_in_table(objective) else {key: value for key, value in given.items() if key not in known}
    ours = ParameterSettings.model_validate({key: value for key, value in given.items() if key not in strange})
    return {**ours.model_dump(), **NUMBERS.validate_python(strange)}


def _setting(rows: Mapping[str, Parameter]) -> Any:
    """The field for a parameter of these objectives: it accepts the union of their ranges; each checks its own."""
    bounds = _loosest(min, [(one.above, one.at_least) for one in rows.values()], ("gt", "ge"))
    bounds |= _loosest(max, [(one.below, one.at_most) for one in rows.values()], ("lt", "le"))
    number = Annotated[Annotated[float, Field(**bounds)] | None, BeforeValidator(partial(no_boolean, float))]
    return number, Field(None, description=_meaning(rows))


def _loosest(
    choose: Callable[[Iterable[float]], float],
    ends: Sequence[tuple[float | None, float | None]],
    names: tuple[str, str],
) -> dict[str, Any]:
    """The loosest bound, by pydantic's name, over several ranges; none if one range has none.

    ends: for each range, the exclusive and the inclusive bound; at most one is set.
    """
    outside = [end for end, _ in ends if end is not None]
    if len(outside) == len(ends):
        return {names[0]: choose(outside)}
    reached = [end for pair in ends for end in pair if end is not None]
    return {names[1]: choose(reached)} if len(reached) == len(ends) else {}


def _meaning(rows: Mapping[str, Parameter]) -> str:
    """Its meaning, with the objectives it applies to, unless that is most."""
    names_of: dict[str, list[str]] = {}
    for name, parameter in rows.items():
        names_of.setdefault(parameter.meaning, []).append(name)
    said = [
        meaning if len(names) > len(ROWS) / 2 else f"of {_listed(names)}: {meaning}"
        for meaning, names in names_of.items()
    ]
    return "; ".join([*said, "left out: the objective's own"])


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def _parameters() -> dict[str, dict[str, Parameter]]:
    """The parameters of all objectives, by name and then by objective."""
    found: dict[str, dict[str, Parameter]] = {}
    for row in ROWS:
        for name, parameter in row.parameters.items():
            found.setdefault(name, {})[row.name] = parameter
    return found


ParameterSettings: type[BaseModel] = create_model(
    "ParameterSettings",
    __config__=ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False),
    **{name: _setting(rows) for name, rows in _parameters().items()},
)
