"""A folder belongs to the settings that made it."""

import hashlib
import json
import shutil
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from secondlook.diagnosis.examiner import Examiner
from secondlook.evaluation import manifest
from secondlook.evaluation.asking import Endpoint
from secondlook.evaluation.evaluate import run_evaluation
from secondlook.evaluation.evaluation import Evaluation
from secondlook.fitting.gate_file import Trial

SETTINGS = {"benchmark": "planted", "rounds": 1, "questions": {"limit": 3}}


@pytest.fixture
def folder(tmp_path):
    manifest.claim(tmp_path / "run", SETTINGS, {"self": {}})
    return tmp_path / "run"


def test_what_is_kept(folder):
    kept = manifest.read(folder)
    assert kept["settings"] == SETTINGS
    assert kept["arms"] == {"self": {}}
    assert kept["versions"].keys() == {"secondlook", "inspect-ai", "python"}
    assert [file.name for file in folder.iterdir()] == ["run.json"]


def test_a_folder_that_is_nobodys_has_nothing_to_read(tmp_path):
    assert manifest.read(tmp_path) is None
    assert manifest.read(tmp_path / "nowhere") is None


def test_the_same_settings_claim_it_again_in_any_order(folder):
    manifest.claim(folder, dict(reversed(SETTINGS.items())), {"self": {}})


def test_arms_gather(folder):
    manifest.claim(folder, SETTINGS, {"tool": {"critic_command": "x"}})
    assert manifest.read(folder)["arms"] == {"self": {}, "tool": {"critic_command": "x"}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rounds": 2}, "rounds 1, and now it is 2"),
        ({"questions": {"limit": 4}}, "questions.limit 3, and now it is 4"),
        ({"questions": {}}, "questions.limit 3, and now it is None"),
        ({"questions": {"limit": 3, "data": "x"}}, "questions.data None, and now it is 'x'"),
    ],
)
def test_other_settings_are_refused_by_name(folder, change, said):
    before = (folder / "run.json").read_bytes()
    with pytest.raises(ValueError, match="choose another --out, or the settings of that run") as caught:
        manifest.claim(folder, SETTINGS | change, {"self": {}})
    assert said in str(caught.value)
    assert (folder / "run.json").read_bytes() == before


class Claimed(Exception):
    """The folder was taken."""


def claim(folder, arm, study, **more):
    def ask(*about):
        raise Claimed

    endpoint = Endpoint(model="mockllm/model")
    questions = {"per_category": 1, "limit": 2}
    asked = Evaluation(benchmark="planted", endpoint=endpoint, arms=(arm,), study=study, questions=questions, **more)
    with pytest.raises(Claimed):
        run_evaluation(asked, folder, arms=ask)
    return manifest.read(folder)


def test_a_gate_and_a_fitted_critic_that_changed_are_refused(tmp_path, gate, fitted, self_and_other):
    study = {"gate": gate("self", 2, "p_answer", 0.5)}
    kept = claim(tmp_path / "a", "self", study)
    assert set(kept["settings"]["hash of the gate"]) <= set("0123456789abcdef")
    # What a test has shown is written into the file, and changes no decision.
    gate("self", 2, "p_answer", 0.5, tested=Trial("helps", "It helps.", [], 9, 3, 0))
    assert claim(tmp_path / "a", "self", study) == kept
    gate("self", 2, "p_answer", 0.6)
    with pytest.raises(ValueError, match="holds a run with hash of the gate"):
        claim(tmp_path / "a", "self", study)

    other = {"critic_endpoint": Endpoint(model="mockllm/other")}
    study = {"fitted_file": fitted(Examiner("self"), Examiner("other", "mockllm/other"))}
    arm = claim(tmp_path / "b", "fitted", study, **other)["arms"]["fitted"]
    assert arm["critic_endpoint"].keys() >= {"model", "revision"}
    fitted(Examiner("other", "mockllm/other"))
    with pytest.raises(ValueError, match=r"holds a run with fitted\.hash of the fitted critic"):
        claim(tmp_path / "b", "fitted", study, **other)


def test_a_tool_whose_code_changed_is_refused(tmp_path, monkeypatch, fitted):
    monkeypatch.chdir(tmp_path)
    check, rules = tmp_path / "check.py", tmp_path / "some rules.json"
    check.write_text("print('right')")
    rules.write_text("{}")
    command = f"{sys.executable} check.py --rules 'some rules.json' --strict"
    kept = claim(tmp_path / "a", "tool", {"critic_command": command})
    program = {"check.py": check, "some rules.json": rules, sys.executable: Path(sys.executable)}
    digests = {name: hashlib.sha256(file.read_bytes()).hexdigest()[:12] for name, file in program.items()}
    assert kept["arms"]["tool"]["hash of the tool"] == digests
    assert claim(tmp_path / "a", "tool", {"critic_command": command}) == kept
    fitted_file = {"fitted_file": fitted(Examiner("tool", command=command))}
    assert claim(tmp_path / "b", "fitted", fitted_file)["arms"]["fitted"]["hash of the tool"] == digests

    written = {"critic_command": f"{command} --log notes"}
    begun = claim(tmp_path / "c", "tool", written)
    (tmp_path / "notes").write_text("one answer")  # by the tool itself: the run goes on, and keeps what it noted
    assert claim(tmp_path / "c", "tool", written)["arms"]["tool"]["hash of the tool"] == digests
    (tmp_path / "notes").write_text("two answers")
    assert claim(tmp_path / "c", "tool", written)["arms"] == begun["arms"]

    check.write_text("print('wrong')")
    mended = hashlib.sha256(check.read_bytes()).hexdigest()[:12]
    said = rf"run with tool\.hash of the tool\.check\.py '{digests['check.py']}', and now it is '{mended}'"
    with pytest.raises(ValueError, match=said):
        claim(tmp_path / "a", "tool", {"critic_command": command})
    with pytest.raises(ValueError, match=r"holds a run with fitted\.hash of the tool\.check\.py"):
        claim(tmp_path / "b", "fitted", fitted_file)
    check.unlink()
    with pytest.raises(ValueError, match=r"hash of the tool\.check\.py '.*', and now it is None"):
        claim(tmp_path / "a", "tool", {"critic_command": command})


def test_a_tokenizer_that_changed_is_refused(tmp_path):
    file = tmp_path / "tokenizer.json"
    shutil.copyfile(files("secondlook.subject") / "weights/planted/tokenizer.json", file)
    study = {"count_tokens": str(file)}
    kept = claim(tmp_path / "run", "self", study)
    assert kept["settings"]["hash of the tokenizer"] == hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    file.write_text(file.read_text() + "\n")
    with pytest.raises(ValueError, match="holds a run with hash of the tokenizer"):
        claim(tmp_path / "run", "self", study)


def test_a_run_that_an_earlier_version_began_goes_on_and_notes_what_that_could_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check = tmp_path / "check.py"
    check.write_text("print('right')")
    study = {"critic_command": f"{sys.executable} check.py"}
    kept = claim(tmp_path / "run", "tool", study)
    before = json.loads(json.dumps(kept))
    del before["arms"]["tool"]["hash of the tool"]
    (tmp_path / "run/run.json").write_text(json.dumps(before))
    assert claim(tmp_path / "run", "tool", study) == kept
    check.write_text("print('wrong')")
    with pytest.raises(ValueError, match=r"hash of the tool\.check\.py"):
        claim(tmp_path / "run", "tool", study)


def test_an_arm_made_otherwise_is_refused(folder):
    manifest.claim(folder, SETTINGS, {"tool": {"critic_command": "x"}})
    with pytest.raises(ValueError, match=r"tool\.critic_command 'x', and now it is 'y'"):
        manifest.claim(folder, SETTINGS, {"tool": {"critic_command": "y"}})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"settings": {}, "arms": 3, "versions": {}}', json.dumps("x")])
def test_a_file_of_that_name_that_is_not_ours_is_refused(folder, text):
    (folder / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run\.json is not what a run writes; choose another --out, or remove it"):
        manifest.claim(folder, SETTINGS, {"self": {}})


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ValueError, match=r"cannot write into folder '.*below' \(Not a directory\); choose another --out"
    ):
        manifest.claim(tmp_path / "file" / "below", SETTINGS, {})
