"""Handing a conversation to a person: a line in a file, or a call of a webhook."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import aiohttp

from secondlook.correction.events import dumped

_PATIENCE = aiohttp.ClientTimeout(total=10)


async def hand_over(to: str, case: dict[str, Any]) -> None:
    """Hand over one conversation; it is there when this returns.

    Args:
        to: A file, which is appended to, or the address of a webhook, which is posted to.
        case: What is handed over; JSON.

    Raises:
        OSError: The file cannot be written, or the webhook did not take it.
    """
    if not to.startswith(("http://", "https://")):
        await asyncio.to_thread(_append, Path(to), dumped(case))
        return
    try:
        async with (
            aiohttp.ClientSession(timeout=_PATIENCE) as session,
            session.post(to, data=dumped(case), headers={"Content-Type": "application/json"}) as response,
        ):
            if response.status >= 300:
                raise OSError(f"webhook {to} answered with status {response.status}")
    except (aiohttp.ClientError, TimeoutError) as error:
        raise OSError(f"webhook {to} was not reached ({error or type(error).__name__})") from error


def _append(path: Path, line: bytes) -> None:
    # One write of a whole line to a file opened for appending: lines of several processes do not mix.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, line + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)
