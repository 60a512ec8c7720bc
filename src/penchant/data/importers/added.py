"""Find importers that installed packages add; the records made from an importer's example tell its kind."""

from typing import Any

from penchant.data.importers.base import Importer
from penchant.plugins import added_names, blame, find_added
from penchant.wording import kind_and_reason_of

__all__ = ["GROUP", "added_importers"]

GROUP = "penchant.importers"


def added_importers(*records: type) -> tuple[Importer[Any], ...]:
    """The added importers, by name, whose example becomes one of these records.

    They are tried on a row that no importer of Penchant matches. Raises ConfigError, naming the package, for one that
    cannot be loaded or does not read its own example.
    """
    return tuple(importer for name in added_names(GROUP) if _becomes(importer := _importer(name), name, records))


def _importer(name: str) -> Importer[Any]:
    importer = find_added(GROUP, name)
    if not isinstance(importer, Importer):
        raise blame(GROUP, name, f"is of the type {type(importer).__name__}, not a penchant.data.importers.Importer")
    return importer


def _becomes(importer: Importer[Any], name: str, records: tuple[type, ...]) -> bool:
    try:
        if not importer.matches(importer.example):
            raise ValueError("`matches` is false for it")
        found = importer.convert(importer.example)
        return isinstance(found[0] if isinstance(found, tuple) and found else found, records)
    except Exception as error:  # third-party code may fail in any way
        raise blame(GROUP, name, f"does not read its own example ({kind_and_reason_of(error)})") from error
