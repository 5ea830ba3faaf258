"""The files for deployment, as far as linters can tell: no container is built here."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from secondlook.gateway.settings import load_settings

DEPLOY = Path(__file__).parents[2] / "deploy"


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)


def test_the_dockerfile_passes_hadolint():
    linter = Path(sys.executable).with_name("hadolint")
    done = run(linter, DEPLOY / "Dockerfile")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_compose_file_passes_dclint():
    if shutil.which("npm") is None:
        pytest.skip("npm is not there: the compose file is not linted")
    folder = Path(tempfile.gettempdir()) / f"secondlook-dclint-{os.getuid()}-3.1.0"
    folder.mkdir(exist_ok=True)
    if not (folder / "node_modules/dclint").is_dir():
        done = run("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "dclint@3.1.0", cwd=folder)
        assert done.returncode == 0, done.stderr
    done = run("node", folder / "node_modules/.bin/dclint", DEPLOY / "compose.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_passes_systemds_own_check(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not there: its unit is not verified")
    # It insists on a program that is there.
    text = (DEPLOY / "secondlook-gateway.service").read_text().replace("/opt/secondlook/bin/secondlook", "/bin/true")
    unit = tmp_path / "secondlook-gateway.service"
    unit.write_text(text)
    done = run("systemd-analyze", "verify", "--man=no", unit)
    ours = [line for line in done.stderr.splitlines() if "secondlook-gateway" in line]
    assert ours == []


def test_the_settings_are_settings():
    settings = load_settings(DEPLOY / "gateway.toml", {})
    assert settings.policy == "diagnosis"
