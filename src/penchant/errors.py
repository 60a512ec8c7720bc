"""The errors a user can cause, each one sentence that says what, where, got, and what to do.

The sentence is one line, bounded, and can be encoded, whatever foreign text it quotes; see `wording`.

PenchantError
├── UserError          exit code 2: a wrong path, option, row or model; the user can fix it
│   ├── DataError      a file or a row of it
│   ├── ModelError     a model folder, name or file
│   ├── ConfigError    an option or a configuration file
│   └── OutputError    a folder or a disk that cannot take the result
├── TrainingError      exit code 1: the run stopped itself because going on would have hidden a fault
└── WrittenError       exit code 1: what was written is not what was to be written, so it was not kept
"""

from penchant.wording import one_line

__all__ = [
    "ConfigError",
    "DataError",
    "ModelError",
    "OutputError",
    "PenchantError",
    "TrainingError",
    "UserError",
    "WrittenError",
]


class PenchantError(Exception):
    """Anything Penchant raises on purpose. everywhere: whether every process of the run has it already."""

    everywhere = False

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class UserError(PenchantError):
    """The user can fix it; shown without a traceback, exit code 2."""


class DataError(UserError):
    """A data file, or a row of one."""


class ModelError(UserError):
    """A model folder, name or file."""


class ConfigError(UserError):
    """An option or a configuration file."""


class OutputError(UserError):
    """A place that cannot take the result."""


class TrainingError(PenchantError):
    """Training stopped itself; exit code 1."""


class WrittenError(PenchantError):
    """A model read back from the disk is not the one that was written; exit code 1."""
