"""Keys, settings, policies, requests, usage and the audit log, each alone."""

import asyncio
import json
import sqlite3
import stat
import subprocess
import sys
import time
from dataclasses import asdict
from functools import cache
from pathlib import Path

import anyio
import pytest
from starlette.datastructures import Headers

from command import secondlook
from second_looks import simulate
from secondlook.diagnosis.diagnose import diagnose
from secondlook.diagnosis.examiner import Examiner
from secondlook.diagnosis.form import to_json
from secondlook.gateway.audit import Audit, AuditRow, query
from secondlook.gateway.dialects import DIALECTS
from secondlook.gateway.keys import Keys
from secondlook.gateway.policy import Policy
from secondlook.gateway.refusal import RefusalError
from secondlook.gateway.request import read_request
from secondlook.gateway.second_look import summed
from secondlook.gateway.settings import GatewaySettings, load_settings
from secondlook.prompts.prompt import load_prompt

UP = "http://127.0.0.1:1/v1"


# --- keys


def test_a_key_opens_and_is_not_kept(tmp_path):
    file = tmp_path / "keys.json"
    done = secondlook("keys", "add", "team-a", "--file", file)
    key = done.out.strip()
    secondlook("keys", "add", "team-b", "--file", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key not in file.read_text()
    keys = Keys.load(file)
    for header, name in (
        (f"Bearer {key}", "team-a"), (f"bearer  {key} ", "team-a"), (key, None), (f"Basic {key}", None), (None, None),
        ("", None), (f"Bearer {key}x", None), (f"Bearer {key[:-1]}", None), ("Bearer \udcff", None), ("Bearer", None),
    ):  # fmt: skip
        assert keys.check(header) == name, header
    assert secondlook("keys", "list", "--file", file).out.split() == ["team-a", "team-b"]
    assert secondlook("keys", "remove", "team-a", "--file", file).code == 0
    assert Keys.load(file).check(f"Bearer {key}") is None
    assert "there is a key 'team-b' already" in secondlook("keys", "add", "team-b", "--file", file).error
    assert "there is no key 'x'; there are team-b" in secondlook("keys", "remove", "x", "--file", file).error
    assert "name 'a b' is none" in secondlook("keys", "add", "a b", "--file", file).error
    assert "make one with: secondlook keys add" in secondlook("keys", "list", "--file", tmp_path / "no.json").error
    (tmp_path / "odd.json").write_text('{"a": 1}')
    assert "is not a file of keys" in secondlook("keys", "list", "--file", tmp_path / "odd.json").error


# --- settings


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "there is no upstream; give the address of the model's server, --upstream http"),
        ({"upstream": "nowhere"}, "'nowhere' is no address; give one such as http"),
        (
            {"upstream": UP, "polic": "never"},
            "setting 'polic': Extra inputs are not permitted; known: upstream, policy",
        ),
        ({"upstream": UP, "policy": "sometimes"}, "setting 'policy': Input should be 'always'"),
        ({"upstream": UP, "policy": "diagnosis"}, "policy 'diagnosis' and the diagnosis files go together"),
        ({"upstream": UP, "critic": "tool"}, "critic 'tool' and critic_command go together"),
        ({"upstream": UP, "critic_model": "x"}, "critic 'other' and critic_model go together"),
        ({"upstream": UP, "on_failure": "escalate"}, "on_failure 'escalate' and escalate_to go together"),
        ({"upstream": UP, "variant": "diverse"}, "variant 'diverse' belongs to studies"),
        ({"upstream": UP, "rounds": 0}, "setting 'rounds': Input should be greater than or equal to 1"),
        ({"upstream": UP, "audit_text": True}, "audit_text needs audit_file"),
    ],
)
def test_settings_that_cannot_be(values, said):
    with pytest.raises(ValueError, match=said) as caught:
        load_settings(None, values)
    assert "\n" not in str(caught.value)


def test_options_go_before_the_file(tmp_path):
    file = tmp_path / "gateway.toml"
    file.write_text(f'upstream = "{UP}/"\nrounds = 2\npolicy = "always"\n')
    settings = load_settings(file, {"rounds": 3, "policy": None})
    assert (settings.upstream, settings.rounds, settings.policy) == (UP, 3, "always")
    file.write_text("upstream = ")
    for path, said in ((file, "are not TOML"), (tmp_path / "no.toml", "cannot be read")):
        with pytest.raises(ValueError, match=said):
            load_settings(path, {})


def test_the_command_says_what_is_wrong(tmp_path):
    records = tmp_path / "records.csv"  # no advice may lead to writing over them
    records.write_text("sample,round,correct\n")
    for arguments, said in (
        (("--upstream", "x"), "'x' is no address"),
        (("--upstream", UP, "--policy", "never", "--policy", "always"), "policy is never, always; give one of"),
        (("--upstream", UP, "--policy", tmp_path / "no.json"), "cannot be read"),
        (("--upstream", UP, "--policy", records), "diagnose RUN --out diagnosis.json"),
        (("--upstream", UP, "--keys-file", tmp_path / "no.json"), "make one with: secondlook keys add"),
        (("--upstream", UP, "--prompt", "own/none"), "unknown prompt 'own/none'"),
        (("--upstream", UP, "--upstream-key-file", tmp_path / "none"), "upstream key"),
    ):
        assert said in secondlook("serve", *arguments).error


def test_nothing_heavy_is_loaded():
    heavy = "{'torch', 'transformers', 'inspect_ai', 'pandas', 'scipy'}"
    code = f"import sys, secondlook.gateway.serve; sys.exit(bool({heavy} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- policies


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


# --- requests and usage


def test_text_parts_are_read_and_kept_as_they_are():
    parts = [{"type": "text", "text": "One"}, {"type": "text", "text": "two?"}]
    body = {"model": "m", "messages": [{"role": "user", "content": parts, "name": "u"}], "top_p": 0.5}
    found = read_request(json.dumps(body).encode(), DIALECTS["/chat/completions"])
    assert (found.text, found.turns, found.request) == ("One\ntwo?", tuple(body["messages"]), body)


def test_usages_add_up_in_all_their_details():
    one = {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1, "audio": None}, "cost": 0.5, "tier": "a"}
    two = {"prompt_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2}, "completion_tokens": 1, "tier": "b"}
    assert summed([one, two]) == {
        "prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 3, "audio": None}, "cost": 0.5, "tier": "b",
        "completion_tokens": 1,
    }  # fmt: skip
    assert summed([]) == {}


# --- the audit log


def row(number, **changes):
    return AuditRow(**{"id": f"r{number}", "time": 1000.0 + number, "model": "m", "policy": "never"} | changes)


def test_rows_are_on_disk_when_write_returns(tmp_path):
    path = tmp_path / "what? 100%#.db"

    async def write():
        async with Audit(path) as audit:
            for number in range(3):
                await audit.write(row(number))
                # It may hold what was said: nobody but its owner reads it.
                assert {each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {0o600}
                # Another process sees it at once.
                assert len(query(path)) == number + 1
            await asyncio.gather(*(audit.write(row(number)) for number in range(3, 500)))
            with pytest.raises(OSError, match=r"cannot be written .UNIQUE"):
                await audit.write(row(0))

    anyio.run(write)
    rows = query(path)
    assert [each["id"] for each in rows] == [f"r{number}" for number in reversed(range(500))]
    assert rows[-1] == asdict(row(0))
    assert sqlite3.connect(path).execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_failed_row_does_not_take_others_with_it(tmp_path):
    async def write():
        async with Audit(tmp_path / "a.db") as audit:
            await audit.write(row(1))
            found = await asyncio.gather(audit.write(row(1)), audit.write(row(2)), return_exceptions=True)
            assert isinstance(found[0], OSError)
            assert found[1] is None
            assert len(query(tmp_path / "a.db")) == 2

    anyio.run(write)


def test_the_command_queries(tmp_path):
    path = tmp_path / "a.db"

    async def write():
        async with Audit(path) as audit:
            await audit.write(row(1, time=time.time() - 7200, status="failed", transcript="{}"))
            await audit.write(row(2, time=time.time(), model="other"))

    anyio.run(write)
    done = secondlook("audit", path)
    assert "2 requests" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    lines = secondlook("audit", path, "--json", "--where", "status=failed").out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["r1"]
    assert "1 requests" in secondlook("audit", path, "--since", "1h").out
    assert "1 requests" in secondlook("audit", path, "--until", "1h").out
    assert "0 requests" in secondlook("audit", path, "--since", "2999-01-01").out
    assert "1 requests, the latest" in secondlook("audit", path, "--limit", 1).out
    for arguments, said in (
        ((tmp_path / "no.db",), "there is no audit log"),
        ((path, "--where", "x=1"), "unknown column 'x'; known: id, time"),
        ((path, "--where", "x"), "is not COLUMN=VALUE"),
        ((path, "--since", "soon"), "'soon' is no time"),
    ):
        assert said in secondlook("audit", *arguments).error
    (tmp_path / "odd.db").write_text("no database, but long enough to be looked at as one, which it is not")
    assert "is no audit log" in secondlook("audit", tmp_path / "odd.db").error


def test_a_log_that_cannot_be_used_is_said_before_anything_is_served(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("odd.db").write_text("no database, " * 100)
    for file, why in (("none/a.db", "No such file or directory"), ("odd.db", "file is not a database")):
        done = secondlook("serve", "--upstream", UP, "--audit-file", file, "--quiet")
        assert done.error == f"audit log '{file}' cannot be used ({why}); give another file"
