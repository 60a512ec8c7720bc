"""The errors of Penchant: each is one sentence that says what is wrong, where, what was found, and what to do.

The sentence is one line, of bounded length, and encodable, whatever untrusted text it quotes; see `wording`.

PenchantError
├── UserError          exit code 2: a wrong path, option, row or model; the user can fix it
│   ├── DataError      a file or a row of it
│   ├── ModelError     a model folder, name or file
│   ├── ConfigError    an option or a configuration file
│   └── OutputError    a folder or a disk that cannot store the result
├── TrainingError      exit code 1: training stopped because continuing would have hidden a fault
└── WrittenError       exit code 1: the written files differ from the model in memory, so they were not kept
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
    """The base of all errors that Penchant raises. everywhere: whether all processes of the run raise it too."""

    everywhere = False

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class UserError(PenchantError):
    """An error that the user can fix; shown without a traceback, exit code 2."""


class DataError(UserError):
    """An error in a data file, or in a row of one."""


class ModelError(UserError):
    """An error in a model folder, name or file."""


class ConfigError(UserError):
    """An error in an option or a configuration file."""


class OutputError(UserError):
    """An output path that cannot store the result."""


class TrainingError(PenchantError):
    """Training stopped because continuing would have hidden a fault; exit code 1."""


class WrittenError(PenchantError):
    """A model read back from disk differs from the one written; exit code 1."""
