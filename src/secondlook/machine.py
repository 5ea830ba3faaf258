"""Machine services of every floor: files written whole, processors, workers that leave each other room."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor


class _Part(io.FileIO):
    """A file being written, which knows whether a write of it failed."""

    failed = False

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            self.failed = True
            raise


@contextlib.contextmanager
def whole(path: Path, *, private: bool = False) -> Iterator[IO[bytes]]:
    """A file to write to that takes the place of ``path`` when it is complete, and leaves it alone otherwise.

    A device or a pipe, as ``/dev/stdout``, is written to as it is: it cannot be replaced, and must not.

    Args:
        path: Where it goes.
        private: Whether only its owner may read it.

    Raises:
        OSError: It cannot be written; the message says what is kept. One that the caller's own block raises passes as
            it is.
    """
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder")
    # What /dev/stdout leads to may be a file, but it is that of another program.
    if path.exists() and (not path.is_file() or path.absolute().parts[1:2] in (("dev",), ("proc",))):
        with path.open("wb") as through:
            yield through
        return
    part = other = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder: one file replaces another at once only within a file system.
        name = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        # As readable as any new file, but where it is private.
        raw = _Part(name, "x", opener=partial(os.open, mode=0o600 if private else 0o666))
        part = name
        with io.BufferedWriter(raw) as file:
            try:
                yield file
            except OSError as error:
                other = None if raw.failed else error  # of the caller, e.g. of what it reads
                raise
            file.flush()
            # Else a crash of the machine soon after may leave an empty file under the name.
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException as error:  # Ctrl-C leaves no part behind either
        if part:
            part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error is not other:
            raise OSError(f"cannot write {path}: {error.strerror or error}; what was saved before is kept") from error
        raise


def alone() -> None:
    """Make this worker leave the other cores to the other workers, and Ctrl-C to the process that started it."""
    import torch  # here, so that writing a file does not wait for it

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """Processes of one thread each that work beside this one; they end with the block, at once if it is left early.

    Args:
        count: How many.
    """
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import active_children, get_context

    others = set(active_children())
    # Not forked: a child would inherit the locks of torch's threads without the threads, and CUDA refuses a fork.
    pool = ProcessPoolExecutor(count, get_context("spawn"), alone)
    try:
        yield pool
    except BaseException:
        # After Ctrl-C, say, which workers ignore: a training that nobody waits for would go on to its end.
        for process in set(active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
