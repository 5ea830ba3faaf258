"""Checkpoints, which are there in whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from secondlook.machine import whole


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
