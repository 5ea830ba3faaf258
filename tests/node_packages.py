"""What tests need of Node: the packages of ``node/package-lock.json``, installed once, outside the repository."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

NODE = Path(__file__).parent / "node"


def node_packages() -> Path:
    """Their folder; without Node, or where they cannot be had, the test is skipped (under CI the latter fails it)."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node or npm is missing")
    lock = hashlib.sha256((NODE / "package-lock.json").read_bytes()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"secondlook-node-{os.getuid()}-{lock}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            making = shutil.copytree(NODE, Path(name) / "made")
            command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(command, cwd=making, capture_output=True, text=True, check=False, timeout=300)
            if done.returncode != 0:
                why = f"the packages for Node could not be installed: {done.stderr.strip()[-500:]}"
                pytest.fail(why) if os.environ.get("CI") == "true" else pytest.skip(why)
            if not folder.exists():  # another process may have been faster
                making.rename(folder)
    return folder
