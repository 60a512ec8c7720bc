"""`penchant objectives`: every loss that `penchant dpo --objective` takes."""

from penchant.cli.declaring import argument, flag


def command(
    name: str | None = argument("Show this one in full; TRL's names work too.", default=None),
    presets: bool = flag("--presets", "List the published recipes instead (`penchant dpo --preset`)."),
) -> None:
    """List the objectives: formula, default parameters, source, and when to use which.

    [bold]Examples[/bold]
        penchant objectives
        penchant objectives simpo
        penchant objectives --presets
    """
    from penchant.cli.tables import print_table
    from penchant.errors import ConfigError
    from penchant.objectives import get_objective
    from penchant.objectives.facts import every_objective, facts_of

    if presets:
        from penchant.training.presets import PRESETS

        if name is not None:
            raise ConfigError(
                f"`presets=True` lists recipes, but the objective {name!r} is named too; give one of the two"
            )
        rows = [(one.name, one.trained, one.in_words(), one.source) for one in PRESETS.values()]
        print_table(("preset", "made for", "settings", "source"), rows)
        return
    if name is None:
        print_table(("objective", "defaults", "when"), list(every_objective()))
        return
    try:
        row = get_objective(name)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    print_table(("", ""), list(facts_of(row).items()))
