"""A folder belongs to the settings that made it."""

import json

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
