"""Keys, settings, requests and usage, each alone."""

import json
import stat
import subprocess
import sys

import pytest

from command import secondlook
from secondlook.gateway.dialects import DIALECTS
from secondlook.gateway.keys import Keys
from secondlook.gateway.request import read_request
from secondlook.gateway.second_look import summed
from secondlook.gateway.settings import load_settings

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
        ({"upstream": UP, "critic": "tool", "critic_command": []}, "critic 'tool' and critic_command go together"),
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
