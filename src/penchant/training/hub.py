"""Upload a model folder to the Hugging Face Hub; access is checked before anything is written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penchant.errors import ConfigError, OutputError
from penchant.wording import reason_of

__all__ = ["Destination"]

NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


class Destination:
    """A model repository on the Hub, by its name `owner/name`.

    The Hub's own login is used: `hf auth login`, or HF_TOKEN.
    """

    def __init__(self, name: str, *, private: bool = True) -> None:
        """Raises ConfigError for an invalid name."""
        if not NAME.fullmatch(name):
            raise ConfigError(f"`push=...` must be a repository on the Hub, owner/name, got '{name}'")
        self.name, self.private = name, private

    def require_ready(self) -> None:
        """Raise OutputError if an upload would fail: not logged in, no network, or the repository is public."""
        from huggingface_hub import HfApi
        from huggingface_hub.errors import LocalTokenNotFoundError, RepositoryNotFoundError

        with self._explained():
            try:
                HfApi().whoami()
            except LocalTokenNotFoundError as error:
                raise OutputError(
                    f"{self.name}: you are not logged in to the Hub; run `hf auth login`, or set HF_TOKEN"
                ) from error
            try:
                there = HfApi().repo_info(self.name, repo_type="model")
            except RepositoryNotFoundError:
                return
        if self.private and not there.private:
            raise OutputError(
                f"{self.name}: this repository exists and is public; give `private=False`, or another name"
            )

    def send(self, folder: Path) -> str:
        """Create the repository if missing, upload all files of the folder, and return its address."""
        from huggingface_hub import HfApi

        with self._explained():
            hub = HfApi()
            hub.create_repo(self.name, repo_type="model", private=self.private, exist_ok=True)
            hub.upload_folder(
                repo_id=self.name, folder_path=folder, repo_type="model", commit_message="Written by penchant export"
            )
        return f"https://huggingface.co/{self.name}"

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OutputError:
            raise
        except Exception as error:  # the Hub client raises many kinds of errors
            raise OutputError(
                f"{self.name}: the upload to the Hub failed ({reason_of(error)}); check the network, the name, and the "
                "rights of your token"
            ) from error
