"""Checkpoints, which are there in whole or not at all."""

from __future__ import annotations

import io
from typing import Any

import torch

from secondlook.cluster.place import Place, put, there


def save(path: Place, state: dict[str, Any]) -> None:
    """Write a checkpoint.

    Raises:
        OSError: It cannot be written; the one before it is kept.
    """
    content = io.BytesIO()  # torch's own writer hides what the system says of a full disk
    torch.save(state, content)
    put(path, content.getvalue())


def load(path: Place) -> dict[str, Any] | None:
    """Read a checkpoint, if there is one.

    Raises:
        ValueError: The file is no checkpoint.
    """
    if not there(path):
        return None
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch's reader raises whatever the bytes lead it to
        raise ValueError(f"{path} is no checkpoint; remove it to start anew") from error
    return state
