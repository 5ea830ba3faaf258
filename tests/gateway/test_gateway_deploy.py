"""The files for deployment, as far as they can be read and the command itself can tell: no container is built here."""

import fnmatch
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from command import secondlook
from secondlook.gateway.settings import load_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text().replace("\\\n", "")
UNIT = (DEPLOY / "secondlook-gateway.service").read_text()


def test_the_image_has_what_the_package_is_built_of_and_nothing_else_is_sent_to_the_builder():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    copied = [word for line in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.M) for word in line.split()]
    assert all((ROOT / name).exists() for name in copied)
    assert {"pyproject.toml", "constraints.txt", "src", project["readme"], *project["license-files"]} <= set(copied)
    assert "gateway" in project["optional-dependencies"]
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in lines
    assert sorted(line.removeprefix("!") for line in lines if line.startswith("!")) == sorted(copied)
    assert not any(fnmatch.fnmatch(name, line) for name in copied for line in lines if line[0] not in "*!#")


@pytest.mark.parametrize("where", ["image", "unit"])
def test_the_command_is_one_of_ours(where, tmp_path):
    """It is told what is wrong with the settings, so it has read all of its options."""
    words = {name: json.loads(value) for name, value in re.findall(r"^(ENTRYPOINT|CMD) (\[.+\])$", DOCKERFILE, re.M)}
    (service,) = re.findall(r"^ExecStart=(.+)$", UNIT, re.M)
    program, *words = words["ENTRYPOINT"] + words["CMD"] if where == "image" else shlex.split(service)
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
