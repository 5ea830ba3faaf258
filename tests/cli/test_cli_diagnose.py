"""`secondlook diagnose`: one screen, one file, and one line for what a user gets wrong."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from second_looks import judged, labels_of
from secondlook.cli import app
from secondlook.cli.diagnose import console
from secondlook.diagnosis.diagnose import diagnose
from secondlook.diagnosis.form import from_json
from secondlook.diagnosis.reading import read_tables
from secondlook.evaluation.report import read, write_diagnoses
from secondlook.gateway.audit import Audit

LINES = """\
{"sample": "1", "group": "age", "round": 0, "correct": false, "verdict": "wrong", "tokens": 41}
{"sample": "1", "group": "age", "round": 1, "correct": true, "tokens": 53}
{"sample": "2", "group": "age", "round": 0, "correct": true, "verdict": "right", "tokens": 40}
{"sample": "2", "group": "age", "round": 1, "correct": true, "tokens": 50}
"""


@pytest.fixture
def records(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text(LINES, encoding="utf-8")
    return file


def secondlook(*arguments):
    return CliRunner().invoke(app, ["diagnose", *map(str, arguments)])


def test_a_table_of_four_lines_is_diagnosed_on_one_screen(records, monkeypatch):
    monkeypatch.setattr(console, "_width", 80)
    result = secondlook(records)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert " ".join(lines[0].split()) == "arm before after change, points [95%] tokens a question finding"
    assert lines[4].startswith("Whether looking again once helps this model is undecided: +50.0 points")
    for said in ("Recommended second looks: 0", "repaired 100.0%", "Cannot be estimated", "no column template"):
        assert said in result.output
    assert "…" not in result.output
    assert max(map(len, lines)) <= 80


def test_json_and_file_are_the_same_diagnosis(records, tmp_path):
    out = tmp_path / "diagnosis.json"
    result = secondlook(records, "--json", "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stdout == out.read_text(encoding="utf-8")
    assert from_json(result.stdout).overall.gain.value == 0.5
    assert json.loads(result.stdout)["overall"]["finding"] == "undecided"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no such file"),
        (("--arm", "other"), "no arm 'other'"),
        (("--round", 7), "round is 7"),
        (("--price", -1), "price is -1"),
        (("--out", "."), "cannot write .: it is a folder; choose another --out"),
    ],
)
def test_what_a_user_gets_wrong_is_a_value_error(arguments, said, records, tmp_path):
    file = records if arguments else tmp_path / "none.csv"
    error = secondlook(file, *arguments).exception
    assert isinstance(error, ValueError)  # main makes it one line and exit code 2
    assert said in str(error)


def test_labels_that_are_kept_with_a_run_are_used_wherever_it_is_read(tmp_path):
    run, other = tmp_path / "run", tmp_path / "other"
    for folder in (run, other):
        folder.mkdir()
    about = {
        "critic": "self",
        "variant": "self",
        "prompt": "own/binary@0",
        "decoding": "{}",
        "model": "m",
        "seconds": 1.0,
    }
    nothing = dict.fromkeys(("context", "bias", "revision", "chat_template"))
    frame = judged().assign(status="ok", **about, **nothing)
    frame.to_csv(run / "records.csv", index=False)
    frame.assign(arm="other").to_csv(other / "records.csv", index=False)
    kept = {"benchmark": "own", "arms": [{"arm": "self"}], "lost": None, "notes": [], "summary": None}
    (run / "report.json").write_text(json.dumps({**kept, "sentence": "", "run": {}}))

    def findings():
        found = from_json(secondlook(run, "--json").stdout)
        (line,) = [line for line in secondlook(run, "--arm", "self").output.splitlines() if line.startswith("self")]
        return found.overall.finding, line.split()[-1], read(run).lines[0].finding

    assert findings() == ("helps", "helps", "helps")
    by = labels_of(frame, "a", of=2, true_gain=False)
    lines = [{"sample": sample, "round": round_, "correct": said} for (_, sample, round_), said in by.items()]
    (run / "judge-labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert findings() == ("undecided", "undecided", "undecided")
    several = secondlook(run, other).exception
    assert f"run {str(run)!r} keeps people's labels, and there are 2 runs; give the labels" in str(several)
    assert secondlook(run, other, "--judge-labels", run / "judge-labels.jsonl").exit_code == 0


LIGHT = """
import sys
class Heavy:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "inspect_ai", "matplotlib", "aiohttp", "ray"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Heavy())
from secondlook.cli import main
main()
"""


@pytest.mark.parametrize("command", [("diagnose", "mine.jsonl"), ("audit", "audit.db")])
def test_reading_takes_neither_an_engine_nor_a_server(command, records, tmp_path):
    Audit(tmp_path / "audit.db")
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, *command], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_no_diagnosis_of_an_earlier_report_stays_beside_those_of_a_later_one(records, tmp_path):
    first = replace(diagnose(read_tables([records])), arm="self")
    both = [first, replace(first, arm="tool")]
    (tmp_path / "diagnosis-priced.json").write_text("the user's own")
    for told, files in ((both[:1], {"diagnosis"}), (both, {"diagnosis-self", "diagnosis-tool"}), ([], set())):
        assert write_diagnoses(told, tmp_path) == [f"{name}.json" for name in sorted(files)]
        files = files or {"diagnosis-self", "diagnosis-tool"}  # without a diagnosis nothing is newer than what is there
        assert {file.stem for file in tmp_path.glob("diagnosis*.json")} == files | {"diagnosis-priced"}
    assert write_diagnoses(both[:1], tmp_path) == ["diagnosis.json"]
    assert not (tmp_path / "diagnosis-self.json").exists()
