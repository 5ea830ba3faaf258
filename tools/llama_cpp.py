"""llama.cpp's own server in a process of its own: an OpenAI-compatible server with a real model, for benchmarks."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SLOT = 2048
"""Tokens a conversation may have."""


@contextmanager
def serving(file: Path, slots: int, threads: int = 2) -> Iterator[str]:
    """Serve a GGUF file for as long as the block runs.

    Args:
        file: The model.
        slots: Requests it works on at once.
        threads: Threads it computes with.

    Yields:
        Its address, with ``/v1``.
    """
    command = [sys.executable, __file__, str(file), "--slots", str(slots), "--threads", str(threads)]
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nothing, text=True) as process:
        try:
            assert process.stdout is not None
            # llama.cpp may say something on the way; the line with the address is ours, and comes when it listens.
            address = next((line.split()[1] for line in process.stdout if line.startswith("serving http")), None)
            if address is None:
                raise RuntimeError(f"the server ended with code {process.wait()}")
            yield f"{address}/v1"
        finally:
            process.kill()


def _serve(file: Path, slots: int, threads: int) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = str(file), {file.name}
    params.n_parallel, params.n_ctx = slots, slots * SLOT
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.port = 0
    server = xllamacpp.Server(params)
    print(f"serving {server.listening_address}", flush=True)
    sys.stdin.read()  # until who started it is gone


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    _serve(**vars(parser.parse_args()))
