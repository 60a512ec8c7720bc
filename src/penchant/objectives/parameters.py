"""The parameters of a row: read from a function's signature, and completed with defaults."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from penchant.errors import ConfigError
from penchant.objectives.objective import BETA, Parameter
from penchant.wording import nearest

__all__ = ["parameters_of", "settled_parameters", "suggestion"]


def parameters_of(
    function: Callable[..., Any], kind: str, name: str, *, data: Sequence[str]
) -> Mapping[str, Parameter]:
    """Read parameters from the arguments after the data; `beta` must be above 0, the others finite.

    Args:
        function: the third-party function.
        kind, name: what it is and its name, for messages.
        data: descriptions of its first arguments.

    Raises:
        ConfigError: a parameter has no name or no numeric default.

    Example:
        >>> from penchant.objectives.parameters import parameters_of
        >>> def loss(batch, *, power=2.0): ...
        >>> parameters_of(loss, "objective", "mine:loss", data=["the pairs"])["power"].default
        2.0
    """
    try:
        arguments = list(inspect.signature(function).parameters.values())
    except ValueError as error:
        raise ConfigError(f"The {kind} {name!r} has no readable signature; wrap it in a function.") from error
    parameters = {}
    for one in arguments[len(data) :]:
        if one.kind not in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD):
            raise ConfigError(f"The {kind} {name!r} takes {one}; name each of its parameters and give it a default.")
        parameter = (BETA if one.name == "beta" else Parameter(0.0)).at(one.default)
        if not parameter.allows(one.default):
            got = "none" if one.default is one.empty else repr(one.default)
            raise ConfigError(
                f"The default of {one.name!r} of the {kind} {name!r} must be {parameter.range}, got {got}; "
                f"every argument after {' and '.join(data)} is a parameter."
            )
        parameters[one.name] = parameter
    return MappingProxyType(parameters)


def settled_parameters(
    name: str,
    known: Mapping[str, Parameter],
    given: Mapping[str, float],
    retired: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, float]:
    """The given values, completed with defaults.

    Raises:
        ValueError: an unknown or retired parameter, or a value out of range.

    Example:
        >>> from penchant.objectives import BETA
        >>> from penchant.objectives.parameters import settled_parameters
        >>> settled_parameters("dpo", {"beta": BETA}, {})
        {'beta': 0.1}
    """
    for key, value in given.items():
        if key in retired:
            raise ValueError(f"{name} has no parameter {key!r} any more: {retired[key]}")
        if key not in known:
            raise ValueError(
                f"{name} has no parameter {key!r}{suggestion(key, known)}; it has {', '.join(known) or 'none'}"
            )
        if not known[key].allows(value):
            raise ValueError(f"{key} of {name} must be {known[key].range}, got {value!r}")
    return {**{key: parameter.default for key, parameter in known.items()}, **given}


def suggestion(word: str, known: Iterable[str]) -> str:
    """ "; did you mean 'dpo'?" if a known word is similar, else an empty text.

    Example:
        >>> from penchant.objectives.parameters import suggestion
        >>> suggestion("bta", ["beta"]), suggestion("xyzzy", ["beta"])
        ("; did you mean 'beta'?", '')
    """
    near = nearest(word, known)
    return f"; did you mean {near!r}?" if near else ""
