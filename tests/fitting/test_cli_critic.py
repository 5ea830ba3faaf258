import json

import pytest
from planted_critics import blind_in, draw, fair, silent

from command import secondlook


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's folder: three critics on the same answers, and none; one of them is blind in a group."""
    folder = tmp_path_factory.mktemp("run")
    critics = {"a": blind_in("body", 0.8), "b": fair(0.7), "c": fair(0.7), "none": silent}
    draw(critics, templates=120).to_csv(folder / "records.csv", index=False)
    return folder


@pytest.mark.parametrize(("how", "last"), [("vote", "vote of a, b, c"), ("train", "trained, for right answers")])
def test_a_better_critic_is_shown_beside_the_asked_one_and_written(run, tmp_path, how, last):
    file = tmp_path / "critic.jsonl"
    done = secondlook("critic", how, run, "--out", file)
    assert done.code == 0, done.err
    assert f"'{last}' is forecast to gain more than 'a': +" in done.out
    assert f"--critic recorded --critic-file {file}" in done.out
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) == 1200
    assert {tuple(line) for line in lines} == {("sample", "round", "verdict")}


def test_a_threshold_is_chosen_and_may_not_help(run):
    done = secondlook("critic", "calibrate", run, "--arm", "b")
    assert done.code == 0, done.err
    # Its scores say no more than its verdicts do.
    assert "is undecided" in done.out or "forecast to gain less" in done.out
    assert "judged on the 600 others" in done.out


def test_arms_of_several_runs_are_told_apart(run, tmp_path):
    other = tmp_path / "second.csv"
    draw({"a": fair(0.75)}, templates=120).to_csv(other, index=False)
    done = secondlook("critic", "vote", run, other)
    assert done.code == 0, done.err
    assert f"vote of {run.name}/a, {run.name}/b, {run.name}/c, second/a" in " ".join(done.out.split())


def test_runs_of_one_name_are_told_apart_by_as_many_folders_as_it_takes(tmp_path):
    runs = [tmp_path / parent / "pilot.v2" for parent in ("a", "b")]
    for run, rate in zip(runs, (0.75, 0.7), strict=True):
        run.mkdir(parents=True)
        draw({"self": fair(rate)}, templates=120).to_csv(run / "records.csv", index=False)
    said = " ".join(secondlook("critic", "vote", *runs).out.split())
    assert "vote of a/pilot.v2/self, b/pilot.v2/self" in said
    other = runs[1].rename(tmp_path / "b/pilot")
    said = " ".join(secondlook("critic", "vote", runs[0], other).out.split())
    assert "vote of pilot.v2/self, pilot/self" in said
    assert "give each once" in secondlook("critic", "vote", other, other).error


def test_what_cannot_be_done_is_one_line(run, tmp_path):
    assert "no arm 'x'" in secondlook("critic", "train", run, "--arm", "x").error
    assert "there is no such file" in secondlook("critic", "vote", tmp_path / "none.csv").error
