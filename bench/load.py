"""Loading the shipped subject, with no network: seconds, beside what importing torch and transformers takes alone.

Each is a process of its own, taken in turns; medians. Loading itself must stay below 2 s on a quiet machine.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

REPEATS = 5
LIMIT = 2.0  # seconds
IMPORTS = "import torch; from transformers import AutoModelForCausalLM, AutoTokenizer"
REFUSE = """
import socket
def refuse(*_, **__): raise OSError("the network is off")
socket.socket.connect = refuse
"""
LOAD = f"{REFUSE}\nfrom secondlook.local.model import LocalModel; LocalModel('planted', 'cpu')"


def seconds(code: str) -> float:
    """Wall time of a Python process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main() -> int:
    seconds(LOAD)  # the first of all also reads from disk
    pairs = [(seconds(IMPORTS), seconds(LOAD)) for _ in range(REPEATS)]
    imports, load = (statistics.median(times) for times in zip(*pairs, strict=True))
    own = load - imports
    print(f"importing torch and transformers {imports:6.2f} s")
    print(f"loading the planted subject      {load:6.2f} s, imports included: {load / imports:.2f} times as much")
    print(f"loading itself                   {own:6.2f} s: {'below' if own < LIMIT else 'NOT below'} {LIMIT:.0f} s")
    return int(own >= LIMIT)


if __name__ == "__main__":
    sys.exit(main())
