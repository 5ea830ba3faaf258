"""Policies: what a diagnosis, a setting and a request's headers decide together."""

import json
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from starlette.datastructures import Headers

from second_looks import simulate
from secondlook.diagnosis.diagnose import diagnose
from secondlook.diagnosis.examiner import Examiner
from secondlook.diagnosis.form import to_json
from secondlook.gate import Gate
from secondlook.gateway.policy import Policy
from secondlook.gateway.refusal import RefusalError
from secondlook.gateway.settings import GatewaySettings
from secondlook.prompts.prompt import load_prompt

UP = "http://127.0.0.1:1/v1"


@cache
def diagnosed():
    return to_json(diagnose(simulate(200, 1, seed=0).assign(model="openai-api/x/m")))


def diagnosis(path, **changes):
    """A real diagnosis, of simulated records, with its findings set."""
    found = json.loads(diagnosed())
    findings = {"all": ("helps", 2), "ages": ("hurts", 0), "jobs": ("undecided", 0), "odd": ("helps", 9)}
    base = found["overall"]
    found["overall"] |= {"finding": "helps", "recommended_rounds": 2}
    found["groups"] = [
        base | {"group": name, "finding": finding, "recommended_rounds": rounds}
        for name, (finding, rounds) in findings.items()
    ]
    found |= {"critic": "self", "variant": "self-instruct", "prompt": load_prompt("own/binary").version, **changes}
    path.write_text(json.dumps(found))
    return path


TOOL = {"critic": "tool", "examiner": {"kind": "tool", "command": "python3 check.py", "seconds": 5.0}}
OTHER = {"critic": "other", "examiner": {"kind": "other", "model": "openai-api/x/judge/large", "tokens": 64}}
SH = {"critic": "tool", "critic_command": ("sh", "other.sh")}


def policy(**settings):
    return Policy(GatewaySettings(upstream=UP, **settings))


def by(file, **settings):
    return policy(policy="diagnosis", diagnoses=(file,), rounds=3, **settings)


@pytest.mark.parametrize(
    ("task", "rounds", "reason"),
    [(None, 2, "helps"), ("ages", 0, "hurts"), ("jobs", 0, "undecided"), ("odd", 3, "helps")],
)
def test_a_diagnosis_decides_by_model_and_task(tmp_path, task, rounds, reason):
    decide = by(diagnosis(tmp_path / "d.json")).decide
    headers = Headers({"x-secondlook-task": task} if task else {})
    for name in ("m", "openai-api/x/m"):
        found = decide(name, headers)
        assert (found.rounds, found.reason, found.stop) == (rounds, reason, "fixed")
        assert (found.prompt.version, found.variant) == (load_prompt("own/binary").version, "self-instruct")
    for name, task in (("another", "jobs"), ("m", "other")):
        found = decide(name, Headers({"x-secondlook-task": task}))
        assert (found.rounds, found.reason) == (0, "undiagnosed")


def test_a_name_that_fits_two_diagnoses_is_of_neither(tmp_path):
    files = [diagnosis(tmp_path / f"{name}.json", model=f"hf/{name}/m") for name in ("a", "b")]
    decide = policy(policy="diagnosis", diagnoses=files).decide
    found = {name: decide(name, Headers()).reason for name in ("a/m", "b/m", "hf/b/m", "m")}
    assert found == {"a/m": "helps", "b/m": "helps", "hf/b/m": "helps", "m": "undiagnosed"}


def test_what_was_diagnosed_is_what_is_served(tmp_path):
    file = tmp_path / "d.json"
    for changes, settings, said in (
        ({"critic": "tool"}, {}, "is of critic 'tool' and does not say which; give --critic tool --critic-command"),
        (TOOL, {"critic": "self"}, "is of critic 'tool', settings say 'self'"),
        (TOOL, SH, "is of critic_command 'python3 check.py', settings say 'sh other.sh'; leave the latter out"),
        ({"critic": "oracle"}, {}, "is of critic 'oracle', which is of studies; diagnose one of self, other, tool"),
        ({"variant": "diverse"}, {}, "is of variant 'diverse', which is of studies"),
        ({}, {"variant": "self"}, "is of variant 'self-instruct', settings say 'self'"),
        ({"prompt": "own/binary@000000000000"}, {}, "was made with prompt own/binary@000000000000, here it would be"),
        ({}, {"prompt": "own/verbal"}, "serve the words that were diagnosed"),
    ):
        diagnosis(file, **changes)
        with pytest.raises(ValueError, match=said):
            by(file, **settings)
    diagnosis(file)
    with pytest.raises(ValueError, match="two diagnoses of model 'm'; give one a model"):
        policy(policy="diagnosis", diagnoses=(file, file))
    for other in ("vllm/m", "m", "hf/org/m"):  # `m` is asked for, and fits either
        for files in ((file, tmp_path / "o.json"), (tmp_path / "o.json", file)):
            diagnosis(tmp_path / "o.json", model=other)
            with pytest.raises(ValueError, match="two diagnoses of model 'm'; give one a model"):
                policy(policy="diagnosis", diagnoses=files)
    file.write_text("{}")
    with pytest.raises(ValueError, match="is no diagnosis; make one with"):
        by(file)


@pytest.fixture(autouse=True)
def folder_of_the_tool(tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("tool"))
    Path("check.py").touch()


def test_a_tool_whose_file_is_elsewhere_is_refused(tmp_path):
    """It would fail at every request, and the first answers be given as they are."""
    file = diagnosis(tmp_path / "d.json", **TOOL)
    Path("check.py").unlink()
    with pytest.raises(ValueError, match=r"names 'check\.py', which is not in .*; start the gateway in the folder"):
        by(file)


@pytest.mark.parametrize(
    ("changes", "settings", "served"),
    [
        ({}, {}, Examiner("self")),
        (TOOL, {}, Examiner("tool", command="python3 check.py", seconds=5.0)),
        (TOOL, {"critic": "tool", "critic_command": ("python3", "check.py")}, None),
        ({"critic": "tool"}, SH, Examiner("tool", command="sh other.sh")),
        (OTHER, {}, Examiner("other", "judge/large", tokens=64)),
    ],
)
def test_the_critic_that_was_diagnosed_is_served(tmp_path, changes, settings, served):
    found = by(diagnosis(tmp_path / "d.json", **changes), **settings).decide("m", Headers()).critic
    assert found == (served or Examiner("tool", command="python3 check.py", seconds=5.0))


def test_the_start_says_what_will_be_done_with_each_model_and_task(tmp_path):
    assert [*by(diagnosis(tmp_path / "d.json", **TOOL)).says()] == [
        "m: helps, looks again 2 times, checked by tool (python3 check.py)",
        "m, task all: helps, looks again 2 times, checked by tool (python3 check.py)",
        "m, task ages: hurts, passed on",
        "m, task jobs: undecided, passed on",
        "m, task odd: helps, looks again 3 times, checked by tool (python3 check.py)",
        "every other model and task: undiagnosed, passed on",
    ]
    assert [*policy(policy="always").says()] == ["every model: always, looks again once, checked by the model itself"]
    assert "give --policy diagnosis.json" in [*policy().says()][-1]


@pytest.mark.parametrize("where", ["diagnosis.json", "run.json"])
def test_the_stop_rule_and_the_limit_that_were_diagnosed_are_served(tmp_path, where):
    made = {"stop": "satisfied", "max_tokens": 48, "elicit": "line"}
    file = diagnosis(tmp_path / "diagnosis.json", **(made if where == "diagnosis.json" else {}))
    (tmp_path / "run.json").write_text(json.dumps({"settings": made, "arms": {}}))
    found = by(file).decide("m", Headers())
    assert (found.rounds, found.stop, found.critic_tokens, found.elicit) == (2, "satisfied", 48, "line")
    with pytest.raises(ValueError, match="is of elicit 'line', settings say 'auto'; leave the latter out"):
        by(file, elicit="auto")
    with pytest.raises(ValueError, match="is of critic_tokens 48, settings say 99; leave the latter out"):
        by(file, critic_tokens=99)
    with pytest.raises(ValueError, match="is of stop rule 'odd', which is not served"):
        by(diagnosis(file, stop="odd"))
    (tmp_path / "run.json").unlink()
    found = by(diagnosis(file)).decide("m", Headers())
    assert (found.stop, found.critic_tokens, found.elicit) == ("fixed", 512, "auto")


def rejecting(path, **names):
    """The diagnosis of 200 questions, 100 of them right: 50 wrong ones are repaired, 50 harmed ones rejected."""
    rows = []
    for number in range(200):
        right, repaired, rejected = number < 100, 100 <= number < 150, number < 50
        about = {"sample": number, "template": number % 50, "stop": "fixed", "model": "m", "prompt": PROMPT, **names}
        rows += [
            {**about, "round": 0, "correct": right, "verdict": "wrong", "kept": True},
            {**about, "round": 1, "correct": repaired or (right and not rejected), "kept": not rejected},
        ]
    found = diagnose(pd.DataFrame(rows))
    assert found.overall.gain.value == 0.25
    path.write_text(to_json(found))
    return path


PROMPT = load_prompt("own/binary").version


@pytest.mark.parametrize(
    ("names", "keep"),
    [
        ({"critic": "self", "keep": "preferred"}, "preferred"),
        ({"critic": "self", "keep": "confirmed"}, "confirmed"),
        ({"critic": "accept-reject", "keep": "preferred"}, "preferred"),
        ({"critic": "accept-reject"}, "preferred"),  # an older table; that critic has no other rule
    ],
)
def test_answers_that_were_kept_by_a_rule_are_served_by_it(tmp_path, names, keep):
    """Of the harmed answers that were rejected none counts; were they kept, nothing would be gained."""
    served = by(rejecting(tmp_path / "d.json", **names))
    found = served.decide("m", Headers())
    assert (found.reason, found.stop, found.gate) == ("helps", "fixed", Gate("always", keep=keep))
    assert found.rounds > 0
    assert next(served.says()).endswith(f"; gate: {Gate('always', keep=keep).words}")
    found = served.decide("m", Headers({"x-secondlook-policy": "flagged"}))
    assert (found.stop, found.gate) == ("gate", Gate("unsatisfied", keep=keep))


def test_a_diagnosis_whose_rule_of_keeping_is_not_known_is_not_served(tmp_path):
    file = rejecting(tmp_path / "d.json", critic="self")
    with pytest.raises(
        ValueError, match=r"^diagnosis .* were rejected, by a rule that is unknown; give .* column keep"
    ):
        by(file)
    with pytest.raises(ValueError, match="critic 'tool' prefers no answer"):
        by(diagnosis(file, **TOOL, keep="preferred"))
    # An older diagnosis does not say: the run beside it does.
    found = json.loads(diagnosis(file).read_text())
    del found["keep"]
    file.write_text(json.dumps(found))
    assert by(file).decide("m", Headers()).gate is None
    (tmp_path / "run.json").write_text(json.dumps({"settings": {"keep": "confirmed"}, "arms": {}}))
    assert by(file).decide("m", Headers()).gate == Gate("always", keep="confirmed")
    assert by(diagnosis(file, stop="satisfied")).decide("m", Headers()).gate is None


@pytest.mark.parametrize("changes", [{"noise": 0.25}, {"noise": None, "arm": "noisy(0.25, self)"}])
def test_verdicts_that_were_flipped_on_purpose_are_not_served(tmp_path, changes):
    file = diagnosis(tmp_path / "d.json", **changes)
    with pytest.raises(ValueError, match=r"flipped on purpose \(noise 0\.25\), .*; make one of a run without --noise"):
        by(file)


@pytest.mark.parametrize(
    ("name", "override", "headers", "rounds", "stop"),
    [
        ("always", "less", {"policy": "never"}, 0, "fixed"),
        ("always", "less", {"rounds": "1"}, 1, "fixed"),
        ("always", "less", {"rounds": "99"}, 3, "fixed"),
        ("always", "less", {"policy": "flagged"}, 3, "satisfied"),
        ("flagged", "less", {"policy": "always"}, 3, "satisfied"),
        ("never", "less", {"policy": "always", "rounds": "2"}, 0, "fixed"),
        ("never", "any", {"policy": "always", "rounds": "2"}, 2, "fixed"),
        ("never", "any", {"policy": "flagged"}, 3, "satisfied"),
        ("flagged", "any", {"policy": "always"}, 3, "fixed"),
    ],
)
def test_a_request_may_ask_for_what_the_server_allows(name, override, headers, rounds, stop):
    asks = Headers({f"x-secondlook-{what}": value for what, value in headers.items()})
    decided = policy(policy=name, override=override, rounds=3).decide("m", asks)
    assert (decided.rounds, decided.reason) == (rounds, "override")
    if rounds:
        assert decided.stop == stop


def test_with_a_diagnosis_that_hurts_no_header_makes_it_look(tmp_path):
    asks = {"x-secondlook-task": "ages", "x-secondlook-policy": "always", "x-secondlook-rounds": "3"}
    assert by(diagnosis(tmp_path / "d.json")).decide("m", Headers(asks)).rounds == 0


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"policy": "often"}, "x-secondlook-policy is 'often'; it is always, flagged or never"),
        ({"rounds": "-1"}, "x-secondlook-rounds is '-1'; it is a number"),
        ({"rounds": "1e9"}, "it is a number"),
        ({"rounds": "\u0663"}, "it is a number"),
    ],
)
def test_what_a_request_may_not_ask_for(headers, said):
    sent = {f"x-secondlook-{name}": value for name, value in headers.items()}
    with pytest.raises(RefusalError, match=said):
        policy(override="any").decide("m", sent)
    with pytest.raises(RefusalError, match="takes no x-secondlook"):
        policy(override="none").decide("m", sent)
