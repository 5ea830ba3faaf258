"""The steps of CONTRIBUTING.md: its critic holds a conversation, its claim has an outcome, its model can be fetched."""

import os
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import anyio
import pandas as pd
import pytest

from secondlook.benchmarks.own.case import OwnCase
from secondlook.benchmarks.own.item import Question
from secondlook.correction import Plan, ScriptedModel, run
from secondlook.evidence.experiment import conduct
from secondlook.local.weights import RealModel, catalogue
from secondlook.prompts.prompt import load_prompt
from secondlook.studies.planted import PlantedBench
from secondlook.studies.profile import StudyProfile

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"


def block(name):
    """The text of one of the page's blocks, without the list's indentation."""
    (found,) = re.findall(rf"<!-- {name} -->\n *```\w+\n(.*?)\n *```", PAGE.read_text("utf-8"), re.DOTALL)
    return textwrap.dedent(found)


def made(name):
    """The names that a block of Python defines."""
    names = {"__name__": name}
    exec(compile(block(name), name, "exec"), names)
    return names


def test_the_critic_s_verdict_reaches_the_transcript():
    critic = made("critic")["ShortCritic"]()
    case = OwnCase(Question("q", "g", "q", None, "2 + 2?", "number", {"answer": 4}), load_prompt("own/binary"))
    model = ScriptedModel([(None, "The answer to your question is 4"), (None, "4")])
    transcript = anyio.run(run, model, critic, case, Plan(rounds=1))
    assert transcript.rounds[0].critique.verdict == "wrong"
    assert transcript.answer == "4"


def test_the_claim_is_conducted_and_gets_an_outcome(tmp_path):
    profile = StudyProfile("tiny", "planted", "planted", ("planted",), 6, 1)
    result = conduct(made("claim")["EXPERIMENT"], PlantedBench(profile, tmp_path / "asked"), tmp_path, "none")
    assert (result["id"], result["parts"][0]["n"]) == ("S9", 66)
    assert result["outcome"] in ("supported", "undecided", "refuted")
    assert (tmp_path / "result.json").is_file()


def test_the_model_has_the_fields_of_the_catalogue():
    (fields,) = tomllib.loads(block("model")).values()
    model = RealModel(name="tiny", **fields | {"hub": tuple(fields["hub"])})
    assert model.requirements == ["package-that-carries-it==1.0"]
    known = next(iter(catalogue().values()))
    assert {type(getattr(known, name)) for name in fields} == {type(getattr(model, name)) for name in fields}


@pytest.mark.parametrize(
    "name", re.findall(r"`((?:src|tests|docs|examples)/[\w/.]+)`|\]\(([\w/.-]+)\)", PAGE.read_text("utf-8"))
)
def test_every_file_that_the_steps_name_is_there(name):
    assert (PAGE.parent / "".join(name)).exists(), name


def test_the_benchmark_is_installed_as_a_package_and_asked(tmp_path):
    """examples/benchmark, installed as CONTRIBUTING says but beside the environment, asks the planted endpoint sums."""
    install = ["-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, *install, "--target", tmp_path / "site", PAGE.parent / "examples/benchmark"], check=True
    )
    endpoint = [sys.executable, PAGE.parent / "examples/own-task/endpoint.py", "0"]
    with subprocess.Popen(endpoint, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = server.stdout.readline().split()[-1]
            done = subprocess.run(
                [sys.executable, "-m", "secondlook.cli", "eval", "sums", "--count", "12", "--critic", "oracle",
                 "--model", "openai-api/adder/adder", "--base-url", address, "--out", tmp_path / "run"],
                env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), *sys.path])},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        finally:
            server.terminate()
    assert done.returncode == 0, done.stderr
    assert "Before the run, 3 questions are asked" in done.stdout + done.stderr
    records = pd.read_csv(tmp_path / "run/records.csv")
    assert len(records) == 12 * 2
    # By hand: it forgets carries, and corrects most of them once it is told.
    first, second = (records[records["round"] == number]["correct"].mean() for number in (0, 1))
    assert 0.3 < first < 1
    assert second > first
