"""Stream the rows of a data set on the Hugging Face Hub through the library `datasets`, without running its code.

The name is `hub:owner/name`, optionally followed by `/config`, `@revision` and `:split`:
`hub:owner/name/config@main:test`. Without a split, the only split is used, else "train".
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from typing import Any

from penchant.data.files import MAX_LINE_BYTES
from penchant.data.in_memory import as_json
from penchant.data.opening import Row, too_long
from penchant.data.parts import Part, numbered
from penchant.data.quickly import origin_at
from penchant.data.records import Origin, RowOrigin
from penchant.data.verdicts import BadRow
from penchant.errors import DataError
from penchant.extras import install
from penchant.wording import reason_of

__all__ = ["HubSource", "is_hub_name"]

PREFIX = "hub:"
WORD = r"[A-Za-z0-9][\w.-]*"
NAME = re.compile(
    rf"(?P<base>hub:(?P<repository>{WORD}/{WORD})(/(?P<config>{WORD}))?(@(?P<revision>\w[\w./-]*))?)"
    r"(:(?P<split>\w[\w.-]*))?",
    re.ASCII,
)


def is_hub_name(name: str) -> bool:
    """Whether this names a data set on the Hub, validly or not."""
    return name.startswith(PREFIX)


class HubSource:
    """A split of a data set on the Hub; looked up on construction, so that a wrong name fails at once.

    path: none, as there is no file. revision: the commit whose rows are read if the Hub reports it; else the revision
    that was named. Raises DataError.
    """

    path = None

    def __init__(self, name: str, part: Part | None = None) -> None:
        found = NAME.fullmatch(name)
        if found is None or ".." in name:
            raise DataError(f"{name}: is not the name of a data set on the Hub; write hub:owner/name@revision:split.")
        self.part = part or Part(name)
        self._asked, self._base = name, found["base"]
        self._repository, self._config, split = found["repository"], found["config"], found["split"]
        if os.path.lexists(self._repository):
            raise DataError(
                f"{name}: `datasets` would read the folder {self._repository} in place of the Hub; name that folder "
                "itself, or start Penchant in another folder."
            )
        self.revision: str | None = self._resolved(found["revision"])
        self._stream, split = self._split_of(self._load(), split)
        self._name = numbered(name if found["split"] else f"{name}:{split}", self.part.copy)
        self._digest, self._num_hashed = hashlib.sha256(), 0

    def __str__(self) -> str:
        return self._name

    def scan(self) -> Iterator[tuple[int, Row | BadRow]]:
        """Its rows with their numbers, from 1; each scan asks the Hub again."""
        rows, number = iter(self._stream), 0
        while True:
            try:
                row = next(rows, None)
            except Exception as error:  # whatever the network, the library or a damaged file raises
                raise self._unreadable(error) from error
            if row is None:
                break
            number += 1
            kept = {str(name): as_json(cell) for name, cell in row.items()}
            line = json.dumps(kept, sort_keys=True, separators=(",", ":"), default=repr)
            if number > self._num_hashed:
                self._digest.update(f"{line}\n".encode())
                self._num_hashed = number
            yield number, too_long("row", MAX_LINE_BYTES) if len(line) > MAX_LINE_BYTES else kept
        if not number:
            raise DataError(f"{self}: is empty: it holds no rows; name another split.")

    def origin(self, number: int) -> Origin:
        """Where a row was read: `hub:owner/name:train[11]` is the row at this index in `datasets`."""
        return origin_at(RowOrigin, self._name, number)

    def hash_into(self, digest: Any) -> None:
        """Add the revision and the rows that were read (all of them if none was) as canonical JSON."""
        if not self._num_hashed:
            for _ in self.scan():
                pass
        digest.update(f"{self}\n{self.revision}\n".encode())
        digest.update(self._digest.digest())

    def _resolved(self, revision: str | None) -> str | None:
        """The commit that a revision points to now, so that every scan reads the same rows."""
        try:
            from huggingface_hub import HfApi

            return HfApi().dataset_info(self._repository, revision=revision, timeout=30).sha or revision
        except ImportError as error:
            raise self._missing() from error
        except Exception as error:
            raise self._unreadable(error) from error

    def _load(self) -> Any:
        try:
            import datasets

            return datasets.load_dataset(self._repository, self._config, revision=self.revision, streaming=True)
        except ImportError as error:
            raise self._missing() from error
        except Exception as error:
            raise self._unreadable(error) from error

    def _split_of(self, splits: Any, split: str | None) -> tuple[Any, str]:
        names = list(splits)
        chosen = split or (names[0] if len(names) == 1 else "train")
        if chosen not in names:
            got = f"has no split {split}" if split else "has several splits and none of them is train"
            raise DataError(f"{self._asked}: {got}; name one of {', '.join(names)}, as in {self._base}:{names[0]}.")
        return splits[chosen], chosen

    def _missing(self) -> DataError:
        return DataError(f"{self._asked}: reading from the Hub needs the package datasets; {install('hub')}.")

    def _unreadable(self, error: Exception) -> DataError:
        return DataError(
            f"{self._asked}: cannot be read from the Hub ({reason_of(error)}); check the name and the network, set "
            "HF_TOKEN if the data set is not public, or give a file."
        )
