"""The recipes for a cluster can be read, and the commands in them are ours; no cluster is started."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
import yaml

from secondlook.cli import app
from secondlook.lab.sweep import Sweep

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "experiments/cluster"


def run(*command, **environment):
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ | environment)


def parse(arguments: list[str]):
    """What the command line makes of arguments, without doing anything; an option that is unknown is an error."""
    command, context, name, rest = typer.main.get_command(app), None, "secondlook", list(arguments)
    while hasattr(command, "resolve_command"):
        context = command.make_context(name, rest, parent=context)
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
    return command.make_context(name, rest, parent=context).params


@pytest.mark.parametrize("script", sorted((ROOT / "experiments").rglob("*.sh")), ids=lambda script: script.stem)
def test_a_script_can_be_read_by_its_shell(script):
    shell = script.read_text().splitlines()[0].removeprefix("#!")
    assert run(shell, "-n", script).stderr == ""
    assert os.access(script, os.X_OK)


def test_the_grid_is_the_papers_every_combination_of_it():
    file = RECIPES / "paper-grid.toml"
    sweep, text = Sweep.read(file), tomllib.loads(file.read_text())
    runs = [run for _, several in sweep.cells for run in several]
    assert len({run.name for run in runs}) == len(runs) == math.prod(map(len, text["grid"].values())) * text["seeds"]
    assert {one.shape.depth for one in runs} == {1, 2, 5, 10, 15, 20}
    assert {(one.task.n, one.shape.width, one.batch, one.steps) for one in runs} == {(20, 96, 256, 1500)}
    assert json.loads(run(sys.executable, RECIPES / "grid_cost.py", file, "--count").stdout) == {"runs": len(runs)}


def test_the_manifests_name_what_is_there():
    (application,) = yaml.safe_load((RECIPES / "serve-vllm.yaml").read_text())["applications"]
    assert application["args"]["llm_configs"]
    text = (RECIPES / "kuberay.yaml").read_text()
    claim, job = yaml.safe_load_all(text)
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == version("ray")
    program, *arguments = shlex.split(job["spec"]["entrypoint"])
    asked = parse(arguments)
    assert (program, asked["cluster"]) == ("secondlook", "auto")
    assert f"create secret generic {cluster['authOptions']['secretName']} --from-literal=auth_token=" in text
    assert f"create configmap secondlook-sweep --from-file={Path(asked['file']).name}" in text
    assert claim["metadata"]["name"] == "secondlook-results"


def commands():
    """Commands in the README, and in comments of recipes."""
    readme = (RECIPES / "README.md").read_text()
    lines = [
        line
        for block in re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)
        for line in block.replace("\\\n", "").splitlines()
    ]
    lines += re.findall(r"`(secondlook [^`]+ --[^`]+)`", readme)
    for file in (file for kind in ("sh", "yaml", "toml") for file in RECIPES.glob(f"*.{kind}")):
        lines += re.findall(r"^#   (.+)", file.read_text(), re.MULTILINE)
    for line in lines:
        if found := re.match(r"(?:[A-Z_]+=\S+ )*((?:secondlook|sbatch|python|\./bbq-full).*)", line):
            yield shlex.split(found[1], comments=True)


def test_every_command_that_is_shown_exists():
    kinds = {words[0] for words in commands()}
    assert kinds == {"secondlook", "sbatch", "python", "./bbq-full.sh"}
    for program, *words in commands():
        files = [word for word in words if Path(word).suffix in (".sh", ".py", ".toml", ".yaml") and "FILE" not in word]
        assert all((RECIPES / file).exists() for file in files), words
        if program == "./bbq-full.sh":
            parse(run(RECIPES / program, *words, SECONDLOOK="echo").stdout.split())
        elif program == "python":
            assert run(sys.executable, RECIPES / words[0], *words[1:], "--help").returncode == 0, words
        else:
            parse(words if program == "secondlook" else words[words.index("slurm.sh") + 1 :])
    for wrong in ("lab sweep F --out O --gpu 1", "lab sweep F", "lab sweeps F", "eval bbq --critic self"):
        with pytest.raises(typer.TyperException):
            parse(wrong.split())
