"""The recipes for a cluster as linters, the shell and the command line read them; no cluster is started."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from recipes import RECIPES, ROOT, parse, run, tool

from command import secondlook
from secondlook.benchmarks.planted.items import write_files
from secondlook.lab.sweep import Sweep

PATIENCE = "RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT"
YAML_RULES = {
    "extends": "default",
    "rules": {
        "line-length": {"max": 120},
        "document-start": "disable",
        "comments": {"min-spaces-from-content": 1},
    },
}


@pytest.mark.parametrize("script", sorted((ROOT / "experiments").rglob("*.sh")), ids=lambda script: script.stem)
def test_a_script_passes_shellcheck(script):
    done = run(tool("shellcheck"), script)
    assert done.returncode == 0, done.stdout
    assert os.access(script, os.X_OK)


def test_yaml_passes_yamllint():
    done = run(tool("yamllint"), "--strict", "-d", json.dumps(YAML_RULES), *sorted(RECIPES.glob("*.yaml")))
    assert done.returncode == 0, done.stdout


def test_the_grid_is_the_papers_every_combination_of_it():
    file = RECIPES / "paper-grid.toml"
    sweep, text = Sweep.read(file), tomllib.loads(file.read_text())
    runs = [run for _, several in sweep.cells for run in several]
    assert len({run.name for run in runs}) == len(runs) == math.prod(map(len, text["grid"].values())) * text["seeds"]
    for one in runs:
        one.shape.transformer(one.task)  # it can be built
    assert {one.shape.depth for one in runs} == {1, 2, 5, 10, 15, 20}
    assert {(one.task.n, one.shape.width, one.batch, one.steps) for one in runs} == {(20, 96, 256, 1500)}
    assert sweep.resources.gpus == 0.25
    counted = run(sys.executable, RECIPES / "grid_cost.py", file, "--count")
    assert json.loads(counted.stdout) == {"runs": len(runs)}


def test_the_cost_of_a_grid_counts_every_run_and_what_shares_a_device(tmp_path):
    file = tmp_path / "grid.toml"
    file.write_text('[run]\nbatch = 2\n[grid]\nsteps = [2000, 20000]\n"task.p" = [0.0, 0.5]\n[resources]\ncpus = 0.5\n')
    done = run(sys.executable, RECIPES / "grid_cost.py", file, "--steps", 5, "--price", 3)
    assert done.returncode == 0, done.stderr
    cost = json.loads(done.stdout)
    assert cost["runs"] == 4
    assert cost["money"] == pytest.approx(3 * cost["device_hours"])
    # Two long runs and two of a tenth of their steps, each on half a device; wide, since the machine may be busy.
    assert 1 < cost["device_hours"] / cost["longest_run_hours"] < 1.5


def test_all_of_bbq_asks_several_servers(tmp_path, monkeypatch):
    monkeypatch.setenv("SECONDLOOK_DATA", str(tmp_path))
    write_files(tmp_path / "bbq", 8, seed=0)
    settings = {"SECONDLOOK": "echo", "BASE_URLS": "http://a:1/v1 http://b:2/v1", "CLUSTER": "head:6379"}
    shown = run(RECIPES / "bbq-full.sh", "some/model", "--rounds", "1", "--limit", "4", env=os.environ | settings)
    arguments = shown.stdout.split()
    asked = parse(arguments).params
    assert set(asked["base_url"]) == {"http://a:1/v1", "http://b:2/v1"}
    assert (asked["cluster"], asked["rounds"], asked["per_category"]) == (
        "head:6379",
        1,
        None,
    )  # what is given last, wins
    alone = run(RECIPES / "bbq-full.sh", "some/model", env=os.environ | {"SECONDLOOK": "echo", "CLUSTER": "none"})
    assert parse(alone.stdout.split()).params["cluster"] is None
    counted = re.search(r"^all +(\d+)", secondlook(*arguments, "--dry-run").out, re.MULTILINE)
    assert counted
    assert int(counted[1]) == 3 * 4


@pytest.fixture
def srun(tmp_path):
    """Stands in for Slurm: it says what it was to run on every node, and with which token."""
    file = tmp_path / "srun"
    said = [f'"${name}"' for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", PATIENCE, "@")]
    file.write_text(f'#!/bin/bash\nprintf "%s\\n" {" ".join(said)}\n')
    file.chmod(0o755)
    nodes = {"SLURM_JOB_NUM_NODES": "3", "SLURM_CPUS_ON_NODE": "32", "SLURM_GPUS_ON_NODE": "8"}
    path = os.pathsep.join((str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]))
    return os.environ | nodes | {"PATH": path}


def test_a_slurm_job_starts_ray_on_every_node_and_runs_the_command(srun):
    from ray.scripts import symmetric_run as symmetric
    from ray.scripts.scripts import start

    command = ["lab", "sweep", "paper-grid.toml", "--out", "shared", "--device", "cuda"]
    done = [run(RECIPES / "slurm.sh", *command, env=srun) for _ in range(2)]
    assert [one.returncode for one in done] == [0, 0], done[0].stderr
    mode, token, patience, *words = done[0].stdout.splitlines()
    assert mode == "token"
    assert len(bytes.fromhex(token)) == 32
    assert done[1].stdout.splitlines()[1] != token  # every job has its own
    assert int(patience) >= 300
    assert PATIENCE in Path(symmetric.__file__).read_text()  # Ray reads it
    ray, ran = words.index("ray"), words.index("--")
    assert {"--nodes=3", "--ntasks-per-node=1", "--cpus-per-task=32", "--no-kill"} <= set(words[:ray])
    assert words[ray + 1] == "symmetric-run"
    around = symmetric.symmetric_run.make_context("symmetric-run", words[ray + 2 :]).params
    address = around["address"]
    assert around["min_nodes"] == 3
    assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+:6379", address)
    node = symmetric.curate_and_validate_ray_start_args(words[ray + 2 : ran])
    started = start.make_context("start", ["--address", address, "--block", *node]).params
    assert (started["num_cpus"], started["num_gpus"]) == (32, 8)
    assert words[ran + 1] == "secondlook"
    asked = parse(words[ran + 2 :]).params
    assert (asked["cluster"], asked["out"], asked["device"]) == (address, "shared", "cuda")


def test_a_slurm_job_without_a_command_says_so_in_a_line(srun):
    done = run(RECIPES / "slurm.sh", env=srun)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"give a secondlook command, .+\n", done.stderr)


def test_slurm_reads_every_directive():
    lines = (RECIPES / "slurm.sh").read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    directives = [number for number, line in enumerate(lines) if line.startswith("#SBATCH")]
    assert directives
    assert max(directives) < first  # it does not read on after the first command
    assert all(re.fullmatch(r"#SBATCH --[a-z-]+(=\S+)?", lines[number]) for number in directives)


def shown():
    """Lines of shell in the README, and in comments of recipes."""
    readme = (RECIPES / "README.md").read_text()
    for block in re.findall(r"```sh\n(.*?)```", readme, re.DOTALL):
        yield from block.replace("\\\n", "").splitlines()
    for file in (*RECIPES.glob("*.sh"), *RECIPES.glob("*.yaml"), *RECIPES.glob("*.toml")):
        yield from re.findall(r"^#   (.+)", file.read_text(), re.MULTILINE)
        yield from re.findall(r"`(secondlook .+?)`", file.read_text())
    yield from re.findall(r"`(secondlook [^`]+ --[^`]+)`", readme)


def commands():
    for line in shown():
        if re.match(r"([A-Z_]+=\S+ )*(secondlook|sbatch|python|serve|\./)", line):
            words = shlex.split(line, comments=True)
            yield words[next(n for n, word in enumerate(words) if not re.match(r"[A-Z_]+=", word)) :]


def test_every_command_that_is_shown_exists():
    kinds = set()
    for words in commands():
        kinds.add(words[0])
        files = [word for word in words if Path(word).suffix in (".sh", ".py", ".toml", ".yaml")]
        assert all((RECIPES / file).exists() for file in files if "FILE" not in file), words
        if words[0] == "./bbq-full.sh":
            said = run(RECIPES / words[0], *words[1:], env=os.environ | {"SECONDLOOK": "echo"}).stdout
            parse(said.split())
        elif words[0] == "sbatch":
            parse([*words[words.index("slurm.sh") + 1 :], "--cluster", "HOST:6379"])
        elif words[0] == "secondlook":
            parse(words[1:])
        elif words[0] == "python":
            done = run(sys.executable, RECIPES / words[1], *words[2:], "--help")
            assert done.returncode == 0, done.stderr
    assert kinds == {"secondlook", "sbatch", "python", "serve", "./bbq-full.sh", "./serve-vllm.sh"}


@pytest.mark.parametrize(
    "wrong",
    [
        "lab sweep F --out O --gpu 1",
        "lab sweep F",
        "lab sweeps F",
        "lab sweep F --out O --gpus many",
        "eval bbq --critic self",
    ],
)
def test_a_command_that_does_not_exist_is_noticed(wrong):
    with pytest.raises(typer.TyperException):
        parse(wrong.split())
