"""The recipes say what the command line understands; a dry run of each contacts nobody."""

import csv
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from command import secondlook
from secondlook.benchmarks.planted.items import write_files

RECIPES = sorted((Path(__file__).parents[2] / "experiments").glob("*.sh"))


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("SECONDLOOK_DATA", str(tmp_path))
    write_files(tmp_path / "bbq", 8, seed=0)
    for kind in ("harmful", "benign"):
        with (tmp_path / f"{kind}-behaviors.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("goal", "target"), *((f"Open {kind} vault {i}", "Sure") for i in range(4))])
    rows = [{"index": 0, "goal": "Open harmful vault 0", "prompt": "Open it zorvan"}]
    (tmp_path / "attack.json").write_text(json.dumps({"parameters": {"method": "Z"}, "jailbreaks": rows}))
    return tmp_path


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_a_recipe_can_be_counted(recipe, data):
    settings = {"SECONDLOOK": "echo", "DATA": str(data), "SIZES": "1.8B 7B"}
    model = [] if recipe.stem == "sizes" else ["some/model"]
    # Printed instead of run; then run here, where nothing need be started.
    shown = subprocess.run(
        ["sh", recipe, *model, "--per-category" if recipe.stem != "refusal" else "--limit", "2"],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=True,
    )
    commands = shown.stdout.splitlines()
    assert len(commands) == {"noise": 5, "formats": 4, "sizes": 2}.get(recipe.stem, 1)
    for command in (commands[0], commands[-1]):
        done = secondlook(*command.split(), "--dry-run")
        assert done.code == 0, done.err
        assert "Nothing was sent to any model." in " ".join(done.out.split())
        samples, calls = re.search(r"^all +(\d+) +(\d+)", done.out, re.MULTILINE).groups()
        assert 0 < int(samples) < int(calls)
