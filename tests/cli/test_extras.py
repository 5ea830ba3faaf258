"""The light door: an extra's commands work with nothing else installed, and every other says which extra it wants."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]


def run(extra, *arguments, cwd):
    return subprocess.run(
        [sys.executable, ROOT / "tests/without.py", extra, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a finished run, and a foreign table."""
    folder = tmp_path_factory.mktemp("runs")
    asked = ["eval", "planted", "--model", "secondlook/planted", "--per-category", 2, "--reply-tokens", 16, "--fast"]
    done = run("local", *asked, "--out", folder / "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(folder / "run" / "records.csv")
    table.to_json(folder / "table.jsonl", orient="records", lines=True)
    (folder / "scores.csv").write_text("sample,correct\na,1\nb,0\n", encoding="utf-8")
    (folder / "log.eval").touch()
    return folder


@pytest.mark.parametrize(
    ("extra", "arguments", "said"),
    [
        ("none", ["diagnose", "run"], "first answer"),
        ("none", ["diagnose", "table.jsonl"], "first answer"),
        ("none", ["report", "run"], "first answer"),
        ("none", ["audit", "--help"], "audit"),
        ("none", ["compare", "scores.csv", "scores.csv"], "Score correct: right or wrong"),
        ("eval", ["report", "--help"], "report"),
        ("eval", ["eval", "planted", "--model", "a/b", "--dry-run"], "Nothing was sent"),
        ("local", ["diagnose", *sorted((ROOT / "results/real/smollm2-135m").glob("own-*"))], "first answer"),
        ("lab", ["prove", "-d", "2", "-n", "2"], "T3"),
    ],
)
def test_what_an_extra_brings_works_with_nothing_else(runs, extra, arguments, said):
    done = run(extra, *arguments, cwd=runs)
    assert done.returncode == 0, done.stderr
    assert said in " ".join(done.stdout.split())


def test_a_model_in_a_gguf_file_needs_the_extra_local_alone(smollm2, tmp_path):
    (tmp_path / "sums.jsonl").write_text(json.dumps({"id": "one", "prompt": "2 + 3?", "answer": 5}), encoding="utf-8")
    asked = ["eval", "own", "--data", "sums.jsonl", "--grader", "number", "--model", f"secondlook/{smollm2}"]
    how = ["--critic", "none", "--reply-tokens", 2, "--fast", "--no-preflight", "--out", "run"]
    done = run("local", *asked, *how, cwd=tmp_path)
    assert "error" not in done.stderr, done.stderr
    assert (tmp_path / "run/records.csv").is_file()


@pytest.mark.parametrize(
    ("extra", "arguments", "wanted"),
    [
        ("none", ["eval", "planted", "--model", "a/b"], "eval"),
        ("none", ["eval", "planted", "--model", "a/b", "--out", "demo"], "eval"),
        ("none", ["plan", "run"], "eval"),
        ("none", ["report", "run", "--judge-labels", "scores.csv"], "eval"),
        ("lab", ["report", "run", "--logs", "elsewhere"], "eval"),
        ("none", ["compare", "scores.csv", "scores.csv", "--page", "page.html"], "eval"),
        ("none", ["compare", "scores.csv", "log.eval"], "eval"),
        ("none", ["prove"], "lab"),
        ("none", ["lab", "run", "L7"], "lab"),
        ("none", ["serve", "--upstream", "http://127.0.0.1:9/v1", "--policy", "never"], "gateway"),
        ("eval", ["eval", "planted", "--model", "secondlook/planted"], "local"),
        ("lab", ["reproduce", "S1"], "demo"),
        ("local", ["eval", "planted", "--model", "secondlook/planted", "--cluster", "local"], "cluster"),
    ],
)
def test_what_is_missing_is_named_in_one_line(runs, tmp_path, extra, arguments, wanted):
    done = run(extra, *arguments, *(["--out", tmp_path] if "eval" in arguments else []), cwd=runs)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert f"pip install 'secondlook[{wanted}]'" in line


def test_the_package_pins_nothing():
    """An exact version here would keep others' exact versions out."""
    from without import PROJECT

    for asked in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()):
        assert not [one for one in asked if "==" in one]


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_what_is_built_installs_and_runs_outside_the_checkout(tmp_path, kind):
    """Into an environment that sees this one's packages, so that nothing is fetched."""
    build = f"import hatchling.build as b; print(b.build_{kind}({str(tmp_path)!r}))"
    made = subprocess.run([sys.executable, "-c", build], cwd=ROOT, capture_output=True, text=True, check=True)
    file = tmp_path / made.stdout.split()[-1]
    if kind == "wheel":
        names = zipfile.ZipFile(file).namelist()
        assert all(any(name.endswith(end) for name in names) for end in ("py.typed", "binary-cot.toml", ".safetensors"))
    into = tmp_path / "installed"
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", into, file]
    subprocess.run([sys.executable, *install], cwd=tmp_path, check=True, capture_output=True)
    code = "import json, secondlook; from secondlook import cli; print(json.dumps(secondlook.__file__)); cli.main()"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            *["eval", "planted", "--model", "secondlook/planted", "--per-category", "1", "--fast", "--out", "run"],
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(into)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0]).startswith(str(into))
