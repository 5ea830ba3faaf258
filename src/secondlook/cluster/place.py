"""Place of results: a folder, or an address that fsspec knows, e.g. of an object store; and whose turn it is there."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from filelock import FileLock, Timeout
from upath import UPath

from secondlook.machine import whole

# A UPath is no Path: everywhere here, `isinstance(…, Path)` tells a folder from an address.
Place: TypeAlias = Path | UPath
_LOCK = ".lock"
MARK = ".driver.json"
"""Tells who works here; a worker that does not see it is not looking at the same place."""


def place(text: str | Path) -> Place:
    """A folder, or an address.

    Raises:
        ValueError: An address that no installed package can read.
    """
    if isinstance(text, Path) or "://" not in text:
        return Path(text)
    try:
        path = UPath(text)
        _ = path.fs  # loads what can read it
    except (ImportError, ValueError) as error:
        raise ValueError(f"{text!r} cannot be used: {error}") from None
    return path


def put(path: Place, data: bytes) -> None:
    """Write a file, whole or not at all; an object store does so by itself.

    Raises:
        OSError: It cannot be written.
    """
    if isinstance(path, Path):
        with whole(path) as file:
            file.write(data)
        return
    try:
        path.write_bytes(data)
    except Exception as error:  # every store raises errors of its own kinds
        raise _refused("write", path, error) from error


def remove(path: Place) -> None:
    """Remove a file, and its folder if nothing else is in it; neither need be there.

    Raises:
        OSError: It cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except Exception as error:
        raise _refused("remove", path, error) from error
    remove_empty(path.parent)


def remove_empty(folder: Place) -> None:
    """Remove a folder if nothing is in it; it need not be there, and an object store has none."""
    if isinstance(folder, Path):
        with contextlib.suppress(OSError):  # somebody else's file is in it
            folder.rmdir()


def there(path: Place) -> bool:
    """Whether a file is there.

    Raises:
        OSError: The place cannot be reached.
    """
    try:
        return path.exists()
    except Exception as error:
        raise _refused("look for", path, error) from error


@contextlib.contextmanager
def turn(where: Place) -> Iterator[None]:
    """Take the turn at a place: nobody else on a machine that shares the folder works there meanwhile.

    The system takes the turn back when the process ends, however it ends. An object store knows no turns; on a Ray
    cluster they are taken there, and without, two runs do the same work, and the same results are written twice.

    Raises:
        ValueError: Somebody has it, or nothing can be written there.
    """
    if not isinstance(where, Path):
        mark(where)
        yield
        return
    lock, new = FileLock(where / _LOCK, thread_local=False), not where.exists()
    try:
        where.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
        mark(where)
    except Timeout:  # first, since it is an OSError too
        raise ValueError(f"{where} is being worked on by {_owner(where)}; wait for it, or give another --out") from None
    except OSError as error:
        lock.release()  # the mark may have failed when the lock was taken
        # `whole` raises an error with a message alone; the reason stands in its cause.
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        reason = cause.strerror or type(cause).__name__
        raise ValueError(f"cannot write into folder {str(where)!r} ({reason}); choose another --out") from None
    try:
        yield
    finally:
        # What was refused before it wrote anything leaves no folder behind.
        if new and where.is_dir() and {file.name for file in where.iterdir()} <= {_LOCK, MARK}:
            shutil.rmtree(where, ignore_errors=True)
        lock.release()


def mark(where: Place) -> None:
    """Leave the mark that tells workers the place.

    Raises:
        OSError: It cannot be written.
    """
    about = {"host": socket.gethostname(), "process": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    put(where / MARK, json.dumps(about).encode())


def _owner(where: Path) -> str:
    try:
        about = json.loads((where / MARK).read_text("utf-8"))
        return f"process {about['process']} of {about['host']} since {about['since']}"
    except (OSError, ValueError, KeyError):
        return "another process"


def _refused(what: str, path: Place, error: Exception) -> OSError:
    said = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
    return OSError(f"cannot {what} {path}: {said}; what was saved before is kept")
