"""Machine services of every floor: files written whole, processors, workers that leave each other room."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def whole(path: Path, *, private: bool = False) -> Iterator[IO[bytes]]:
    """A file to write to that takes the place of ``path`` when it is complete, and leaves it alone otherwise.

    Args:
        path: Where it goes.
        private: Whether only its owner may read it.

    Raises:
        OSError: It cannot be written; the message says what is kept.
    """
    part = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder: one file replaces another at once only within a file system.
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        part = Path(name)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            # Else a crash of the machine soon after may leave an empty file under the name.
            os.fsync(file.fileno())
        if not private:
            # A temporary file is its owner's alone; a result is as readable as any new file. The mask can be read only
            # by setting it.
            mask = os.umask(0)
            os.umask(mask)
            part.chmod(0o666 & ~mask)
        part.replace(path)
    except BaseException as error:  # Ctrl-C leaves no part behind either
        if part:
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(f"cannot write {path}: {error.strerror or error}; what was saved before is kept") from error
        raise


def alone() -> None:
    """Make this worker leave the other cores to the other workers, and Ctrl-C to the process that started it."""
    import torch  # here, so that writing a file does not wait for it

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
