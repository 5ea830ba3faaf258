"""The files for deployment, as far as linters and the command itself can tell: no container is built here."""

import fnmatch
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from node_packages import node_packages

from command import secondlook
from secondlook.gateway.settings import load_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text().replace("\\\n", "")
UNIT = (DEPLOY / "secondlook-gateway.service").read_text()


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)


def test_the_dockerfile_passes_hadolint():
    linter = Path(sys.executable).with_name("hadolint")
    done = run(linter, DEPLOY / "Dockerfile")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_compose_file_passes_dclint():
    # Schema and style; warnings count.
    done = run("node", node_packages() / "node_modules/.bin/dclint", "--max-warnings", 0, DEPLOY / "compose.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is missing: its unit is not verified")
    # The check insists on a program that is there.
    unit = tmp_path / "secondlook-gateway.service"
    unit.write_text(UNIT.replace("/opt/secondlook/bin/secondlook", "/bin/true"))
    return unit


def test_the_unit_passes_systemds_own_check(unit):
    done = run("systemd-analyze", "verify", "--man=no", unit)
    assert [line for line in done.stderr.splitlines() if "secondlook-gateway" in line] == []


def test_the_unit_gives_the_service_little(unit):
    done = run("systemd-analyze", "security", "--offline=true", "--threshold=20", unit)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd is too old to judge a unit that does not run")
    assert done.returncode == 0, done.stdout[-200:] + done.stderr


def copied():
    """What the Dockerfile takes from the repository."""
    lines = re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.M)
    return [word for line in lines for word in line.split()]


def test_the_image_has_what_the_package_is_built_of():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert all((ROOT / name).exists() for name in copied())
    assert {"pyproject.toml", "src", project["readme"], *project["license-files"]} <= set(copied())
    assert "constraints.txt" in copied()
    assert "gateway" in project["optional-dependencies"]


def test_nothing_else_is_sent_to_the_builder():
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in lines
    assert sorted(line.removeprefix("!") for line in lines if line.startswith("!")) == sorted(copied())
    assert not any(fnmatch.fnmatch(name, line) for name in copied() for line in lines if line[0] not in "*!#")


def commands():
    words = {name: json.loads(value) for name, value in re.findall(r"^(ENTRYPOINT|CMD) (\[.+\])$", DOCKERFILE, re.M)}
    (service,) = re.findall(r"^ExecStart=(.+)$", UNIT, re.M)
    return {"image": words["ENTRYPOINT"] + words["CMD"], "unit": shlex.split(service)}


@pytest.mark.parametrize("where", ["image", "unit"])
def test_the_command_is_one_of_ours(where, tmp_path):
    """It is told what is wrong with the settings, so it has read all of its options."""
    program, *words = commands()[where]
    assert Path(program).name == "secondlook"
    at = words.index("--config") + 1
    assert words[at].endswith("/gateway.toml")
    words[at] = tmp_path / "none.toml"
    assert "settings" in secondlook(*words).error


def test_the_settings_are_settings():
    settings = load_settings(DEPLOY / "gateway.toml", {})
    assert settings.policy == "diagnosis"
    assert settings.keys_file is not None
    # What the unit and the compose file let it write to.
    assert settings.audit_file.parent == Path("/var/lib/secondlook")
    assert "StateDirectory=secondlook" in UNIT
    assert "state:/var/lib/secondlook" in (DEPLOY / "compose.yaml").read_text()
