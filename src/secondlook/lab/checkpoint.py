"""Files that are there in whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import torch


@contextlib.contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to that takes the place of ``path`` when it is complete, and leaves it alone otherwise.

    Raises:
        OSError: It cannot be written; the message says what is kept.
    """
    part = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        part = Path(name)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # A temporary file is its owner's alone; a result is as readable as any new file.
        mask = os.umask(0)
        os.umask(mask)
        part.chmod(0o666 & ~mask)
        part.replace(path)
    except BaseException as error:
        if part:
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(f"cannot write {path}: {error.strerror or error}; what was saved before is kept") from error
        raise


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint.

    Raises:
        OSError: It cannot be written; the one before it is kept.
    """
    with whole(path) as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # torch's writer hides what the system said
            raise OSError(str(error).splitlines()[0]) from error


def load(path: Path) -> dict[str, Any] | None:
    """Read a checkpoint, if there is one.

    Raises:
        ValueError: The file is no checkpoint.
    """
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch's reader raises whatever the bytes lead it to
        raise ValueError(f"{path} is no checkpoint; remove it to start anew") from error
    return state
