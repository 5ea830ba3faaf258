"""Processes of one process group, without Ray: what each of them makes of a function."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import distributed

from secondlook.lab.rank import Rank


def together(of: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What ``work(rank, *arguments)`` returns in each of so many processes."""
    with TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_join, (of, folder, work, arguments), nprocs=of)
        return [torch.load(Path(folder) / f"{number}.pt", weights_only=False) for number in range(of)]


def _join(number: int, of: int, folder: str, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    meet = f"file://{folder}/meet"
    # One that waits for a peer in vain is an error, not a test that hangs.
    distributed.init_process_group("gloo", init_method=meet, rank=number, world_size=of, timeout=timedelta(minutes=2))
    try:
        torch.save(work(Rank(number, of), *arguments), Path(folder) / f"{number}.pt")
        distributed.barrier()
    finally:
        distributed.destroy_process_group()
