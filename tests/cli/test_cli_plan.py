"""`secondlook plan`: a pilot by the planted subject, a larger study that is then run, and what a user gets wrong."""

import json
import shutil

import pytest

from command import secondlook
from secondlook.correction.chat import Usage
from secondlook.evaluation.logs import read_logged

COMMAND = ("eval", "planted", "--model", "secondlook/planted", "--reply-tokens", 16, "--no-diagnose")


@pytest.fixture(scope="module")
def pilot(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pilot") / "run"
    done = secondlook(*COMMAND, "--critic", "self", "--critic", "none", "--per-category", 2, "--out", folder)
    assert done.code == 0, done.err
    return folder


def planned(*arguments):
    done = secondlook("plan", *arguments, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_a_larger_study_asks_what_was_planned(pilot, tmp_path):
    plan = planned(pilot, "--critic", "self", "--per-category", 3, "--rounds", 2)
    out = tmp_path / "run"
    done = secondlook(*COMMAND, "--critic", "self", "--per-category", 3, "--rounds", 2, "--out", out)
    assert done.code == 0, done.err
    true = sum((logged.transcript.usage for logged in read_logged(out)), Usage())
    assert plan["total"]["calls"] == true.calls == 33 * 5
    assert plan["total"]["tokens_in"] == pytest.approx(true.input, rel=0.1)
    assert plan["total"]["tokens_out"] == pytest.approx(true.output, rel=0.15)
    assert plan["total"]["tokens_cached"] == true.cached == 0
    assert 0 < plan["total"]["tokens_reusable"] < plan["total"]["tokens_in"]


def test_the_pilot_planned_at_its_own_size_is_the_pilot(pilot):
    plan = planned(pilot)
    true = sum((logged.transcript.usage for logged in read_logged(pilot)), Usage())
    times = json.loads((pilot / "times.json").read_text("utf-8"))
    assert plan["total"]["calls"] == true.calls
    assert plan["total"]["tokens_in"] == pytest.approx(true.input)
    assert plan["total"]["tokens_out"] == pytest.approx(true.output)
    whole = times["opening"] + times["asking"] + times["reporting"]
    assert plan["wall"]["seconds"] == pytest.approx(whole, rel=0.02)
    assert plan["processor"] == pytest.approx(sum(times["processor"]), rel=0.02)


def test_one_screen(pilot):
    done = secondlook("plan", pilot, "--whole", "--questions", 58492, "--endpoints", 8, "--gpu-price", 2.5)
    assert done.code == 0, done.err
    assert max(map(len, done.out.splitlines())) <= 80
    for said in ("58,492", "116,984", "limit: ", "GPU hours: ", "money: ", "8 endpoints, 1 driver", "Nothing was sent"):
        assert said in done.out


def test_money_is_for_tokens_or_for_time(pilot):
    tokens = planned(pilot, "--price-in", 2, "--price-out", 8)
    assert tokens["money"] == pytest.approx(
        (2 * tokens["total"]["tokens_in"] + 8 * tokens["total"]["tokens_out"]) / 1e6
    )
    hours = planned(pilot, "--endpoints", 4, "--gpus-per-endpoint", 2, "--gpu-price", 3)
    assert hours["gpu_hours"] == pytest.approx(8 * hours["wall"]["seconds"] / 3600)
    assert hours["money"] == pytest.approx(3 * hours["gpu_hours"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--critic", "vote"), "the pilot has no arm 'vote', only self, none; run the pilot with --critic vote too"),
        (("--endpoints", 0), "--endpoints is 0; give 1 or more"),
        (("--prompt-rate", 2), "--prompt-rate and --reply-rate go together; give both or neither"),
        (("--prompt-rate", 2, "--reply-rate", 0), "a rate is 0 tokens a second; give more"),
        (("--price-in", 2), "--price-in and --price-out go together; give both or neither"),
        (("--price-cached", 2), "--price-cached belongs to --price-in and --price-out; give these too"),
        (("--gpu-price", -1), "--gpu-price is -1.0; give 0 or more"),
        (("--questions", 0), "questions is 0; give 1 or more"),
        (("--whole", "--limit", 3), "--whole means all questions; leave out --per-category and --limit"),
        (("--rounds", -1), "rounds"),
        (("--limit", 0), "limit is 0; ask for at least 1 question"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(arguments, said, pilot):
    assert said in secondlook("plan", pilot, *arguments).error


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"seed": 1}, "the questions here are not those of"),
        ({"colour": "red"}, "unknown setting 'colour'; known: "),
        ({"prompt": "bbq/binary-cot@0"}, "the pilot's prompt is bbq/binary-cot@0, and here it is bbq/binary-cot@"),
        ({"stop": "satisfied"}, "rounds is 3 and the pilot has 1: with --stop satisfied nobody knows"),
        ({"budget_tokens": 9}, "rounds is 3 and the pilot has 1: with --budget-tokens nobody knows"),
    ],
)
def test_a_pilot_that_tells_nothing_of_the_study(settings, said, pilot, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(pilot, other)
    manifest = json.loads((other / "run.json").read_text("utf-8"))
    manifest["settings"] |= settings
    (other / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert said in secondlook("plan", other, "--rounds", 3).error


def test_a_folder_that_is_no_pilot_or_was_not_run_in_one_go(pilot, tmp_path):
    assert f"'{tmp_path}' is not the folder of a run" in secondlook("plan", tmp_path).error
    other = tmp_path / "other"
    shutil.copytree(pilot, other)
    (other / "times.json").write_text("[]", encoding="utf-8")
    assert "times.json is not what a run writes; remove it" in secondlook("plan", other).error
    (other / "times.json").unlink()
    plan = planned(other)
    assert plan["processor"] is None
    assert any(note.startswith("The pilot was not run in one go") for note in plan["notes"])
