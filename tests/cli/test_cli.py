"""What a user can get wrong is one line and exit code 2; what a user gets is readable."""

import json
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from command import Done, finish, secondlook, start

PLANTED = ("eval", "planted", "--model", "secondlook/planted", "--per-category", 1, "--reply-tokens", 16)
BBQ = ("eval", "bbq", "--model", "secondlook/planted")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A run without --out writes below the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "LOCAL_API_KEY", "LOCAL_BASE_URL", "SECONDLOOK_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("arguments", "value", "remedy"),
    [
        (("eval", "bbc", "--model", "x/y"), "'bbc'", "'bbq'"),
        (("eval", "planted", "--model", "planted"), "'planted'", "PROVIDER/NAME"),
        (("eval", "planted", "--model", "nobody/model"), "'nobody/model'", "PROVIDER/NAME"),
        (("eval", "planted", "--model", "secondlook/nobody"), "'nobody'", "secondlook/planted"),
        (("eval", "planted", "--model", "openai-api/local/m"), "'openai-api/local/m'", "LOCAL_API_KEY"),
        (("eval", "planted", "--model", "openai/m"), "'openai/m'", "OPENAI_API_KEY"),
        ((*PLANTED, "--critic", "nobody"), "'nobody'", "self, other, tool, recorded, oracle, fitted"),
        ((*PLANTED, "--critic", "self", "--critic", "self"), "self, self", "once"),
        ((*PLANTED, "--variant", "other"), "'other'", "self, diverse, self-instruct"),
        ((*PLANTED, "--stop", "never"), "'never'", "fixed, satisfied"),
        ((*PLANTED, "--prompt", "bbq/none"), "'bbq/none'", "bbq/binary-cot"),
        ((*PLANTED, "--schedule", "weekly"), "'weekly'", "fresh, fixed"),
        ((*PLANTED, "--rounds", -1), "-1", "0 or more"),
        ((*PLANTED, "--rounds", -1, "--variant", "diverse"), "-1", "0 or more"),
        ((*PLANTED, "--rounds", "many"), "--rounds", "--help"),
        ((*PLANTED, "--limit", 0), "0", "at least 1"),
        (("eval", "planted", "--model", "secondlook/planted", "--per-category", 0), "0", "at least 1"),
        ((*PLANTED, "--noise", 2), "2", "0 to 1"),
        ((*PLANTED, "--noise", 0.1, "--critic", "none"), "'none'", "another critic"),
        ((*PLANTED, "--history", 0, "--variant", "diverse"), "0", "at least 1"),
        ((*PLANTED, "--history", 99, "--variant", "diverse"), "99", "--history"),
        ((*PLANTED, "--budget-tokens", 0), "0", "1 or more"),
        ((*PLANTED, "--budget-seconds", 0), "0", "more than 0"),
        ((*PLANTED, "--temperature", -1), "-1", "0 or more"),
        ((*PLANTED[:-1], 0), "0", "1 or more"),
        ((*PLANTED, "--max-connections", 0), "0", "1 or more"),
        ((*PLANTED, "--max-retries", -1), "-1", "0 or more"),
        ((*PLANTED, "--timeout", 0), "0", "1 or more"),
        ((*PLANTED, "--log-buffer", 0), "0", "1 or more"),
        ((*PLANTED, "-M", "device"), "'device'", "-M device=cpu"),
        ((*PLANTED, "-M", "wheels=4"), "'wheels'", "secondlook/planted"),
        ((*PLANTED, "-M", "max_batch=0"), "0", "at least 1"),
        ((*PLANTED, "--critic", "tool"), "'tool'", "give both"),
        ((*PLANTED, "--critic", "tool", "--critic-command", "no-such-program -x"), "'no-such-program'", "PATH"),
        ((*PLANTED, "--critic", "tool", "--critic-command", "sh 'open"), "sh 'open", "quote"),
        ((*PLANTED, "--critic", "tool", "--critic-command", " "), "empty", "give a program"),
        ((*PLANTED, "--critic-command", "sh"), "critic command", "give both or neither"),
        ((*PLANTED, "--critic", "recorded"), "'recorded'", "give both"),
        ((*PLANTED, "--critic", "recorded", "--critic-file", "none.jsonl"), "'none.jsonl'", "one verdict a line"),
        ((*PLANTED, "--critic", "recorded", "--critic-file", "bad.jsonl"), "bad.jsonl:1", "a line has sample"),
        ((*PLANTED, "--critic", "other"), "'other'", "--critic-model"),
        ((*PLANTED, "--critic-model", "secondlook/planted"), "'other'", "give both or neither"),
        ((*PLANTED, "--critic", "other", "--critic-model", "secondlook/nobody"), "'nobody'", "secondlook/planted"),
        ((*PLANTED, "--category", "Zor"), "--category", "--help"),
        ((*PLANTED, "--out", "file/below"), "'file/below'", "choose another --out"),
        ((*PLANTED, "--out", "strange"), "run.json", "choose another --out"),
        (BBQ, "no such folder", "secondlook data get bbq"),
        ((*BBQ, "--data", "nowhere"), "nowhere", "secondlook data get bbq"),
        ((*BBQ, "--data", "empty"), "no .jsonl file", "secondlook data get bbq"),
        ((*BBQ, "--data", "torn"), "Age.jsonl:1", "JSON"),
        ((*BBQ, "--schedule", "fixed"), "--schedule", "--help"),
        ((*BBQ, "--condition", "maybe"), "'maybe'", "'ambig', 'disambig'"),
        (("report", "nowhere"), "'nowhere'", "secondlook eval --out nowhere"),
        (("data", "get", "bbc"), "'bbc'", "bbq"),
        (("data", "make", "bbc", "x"), "'bbc'", "planted"),
        (("eval", "planted"), "--model", "--help"),
        ((*PLANTED, "--speed", "high"), "--speed", "--help"),
        (("evil",), "'evil'", "'eval'"),
    ],
)
def test_an_error_is_one_line_with_value_and_remedy(tmp_path, arguments, value, remedy):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "bad.jsonl").write_text("{oops\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "Age.jsonl").write_text('{"example_id": 0,\n')
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "run.json").write_text("[]")

    line = secondlook(*arguments).error

    assert value in line
    assert remedy in line
    assert len(line) < 600


@pytest.mark.parametrize(("option", "value"), [("--category", "Agee"), ("--limit", 0), ("--per-category", 0)])
def test_the_official_data_know_what_they_have(bbq_data, option, value):
    chosen = () if option == "--category" else ("--category", "Age")
    line = secondlook(*BBQ, "--data", bbq_data, *chosen, option, value).error
    assert str(value) in line
    assert "known here" in line or "at least 1" in line


def test_nothing_is_written_before_everything_is_known_to_be_there(tmp_path):
    secondlook(*PLANTED, "--critic", "nobody", "--out", "run").error  # noqa: B018
    secondlook("eval", "planted", "--model", "secondlook/nobody", "--out", "run").error  # noqa: B018
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("words", [(), ("data",), ("subject",), ("eval",), ("eval", "--help"), ("--help",)])
def test_help_is_help(words):
    done = secondlook(*words)
    assert done.code == (0 if "--help" in words else 2)
    assert done.out.strip().startswith("Usage: secondlook")
    assert done.err == ""


def test_the_version_is_the_package_s():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    assert secondlook("--version") == Done(0, f"secondlook {project['version']}\n", "")


def test_the_key_is_told_of_in_the_help():
    words = " ".join(secondlook("eval", "own", "--help").out.split())
    assert "NAME_API_KEY for openai-api/NAME/" in words
    assert "on this machine needs none" in words


def test_data_make_writes_word_problems(tmp_path):
    done = secondlook("data", "make", "word-problems", tmp_path / "mine", "--per-category", 2)
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in (tmp_path / "mine/questions.jsonl").read_text("utf-8").splitlines()]
    assert [row["group"] for row in rows] == ["add", "take away", "times"] * 2
    assert all(row["prompt"] and isinstance(row["answer"], int) for row in rows)
    assert done.out == f"1 file in {tmp_path / 'mine'}: questions.jsonl\n"


def test_data_make_writes_the_planted_language(tmp_path):
    done = secondlook("data", "make", "planted", tmp_path / "language", "--per-category", 2)
    assert done.code == 0
    assert done.out.startswith(f"11 files in {tmp_path / 'language'}: ")
    assert {path.name for path in (tmp_path / "language").iterdir()} == set(done.out.split(": ")[1].strip().split(", "))
    again = secondlook(*BBQ, "--data", tmp_path / "language", "--limit", 2, "--reply-tokens", 8, "--out", "run")
    assert again.code == 0, again.err


def test_a_run_without_out_is_named_by_what_decides_its_result(tmp_path):
    done = secondlook(*PLANTED, "--limit", 2, "--rounds", 0)
    assert done.code == 0, done.err
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("planted-secondlook-planted-")
    for transport in (("--max-connections", 2), ("--max-retries", 1), ("--timeout", 60), ("--log-buffer", 1)):
        assert secondlook(*PLANTED, "--limit", 2, "--rounds", 0, *transport).code == 0
    assert list((tmp_path / "runs").iterdir()) == [folder]
    assert secondlook(*PLANTED, "--limit", 2, "--rounds", 0, "--seed", 1).code == 0
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_report_reads_a_run_again(tmp_path):
    first = secondlook(*PLANTED, "--limit", 3, "--out", "run")
    again = secondlook("report", "run")
    assert again.code == 0
    assert first.out.startswith(again.out)
    data = json.loads(secondlook("report", "run", "--json").out)
    assert data == json.loads((tmp_path / "run" / "report.json").read_text())
    assert data["run"]["settings"]["questions"] == {"per_category": 1, "limit": 3}
    assert set(data["run"]["versions"]) == {"secondlook", "inspect-ai", "python"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--logs", "elsewhere"), "--logs elsewhere is the place of the logs of shards; give --shards or --cluster"),
        (("--logs", "elsewhere", "--fast"), "--logs elsewhere is the place of the logs of shards"),
        (("--cpus", 2), "--cpus 2 is of a unit of work on a cluster; give --cluster, or leave it out"),
        (("--gpus", 0.25, "--shards", 2), "--gpus 0.25 is of a unit of work on a cluster"),
    ],
)
def test_options_that_would_do_nothing_are_refused_before_anything_is_asked(tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    for more in ((), ("--dry-run",)):
        assert secondlook(*PLANTED, "--limit", 3, "--out", "run", *options, *more).error.startswith(said)
    assert not [*tmp_path.iterdir()]


def test_a_normal_run_prints_our_tables_and_nothing_else(tmp_path):
    """In a process of its own: other tests may have silenced what would speak up only once."""
    done = finish(start(*PLANTED, "--limit", 3, "--out", "run", cwd=tmp_path))
    assert done.code == 0
    assert done.err == ""
    assert "\x1b" not in done.out
    lines = done.out.splitlines()
    assert lines[0] == "planted · secondlook/planted"
    assert lines[-4:] == [
        "page:  run/report.html",
        "files: diagnosis.json, report.json, rounds.csv and records.csv in run",
        "why:   secondlook diagnose run",
        "logs:  inspect view --log-dir run",
    ]
    assert max(map(len, lines)) <= 80


STOPPED = """
import anyio, multiprocessing, os, signal, weakref
from secondlook import cli

class Anything:
    pass

def signalled(_):
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(1000):
        pass  # where the signal is heard

async def runs():
    multiprocessing.get_context("spawn").Lock()  # as pools have them
    os.kill(os.getpid(), signal.SIGINT)  # which a background job does not hear
    await anyio.sleep(0.1)
    print("goes on")
    anything = Anything()
    seen = weakref.ref(anything, signalled)
    try:
        del anything
        await anyio.sleep(60)
    finally:
        print("in order", flush=True)

cli._command = lambda: lambda **_: anyio.run(runs)
cli.main()
"""


def test_a_background_job_ends_in_order_at_a_sigterm_wherever_it_is():
    """What is raised in a weak reference's callback is lost: a run that was stopped there went on."""
    done = subprocess.run(
        [sys.executable, "-c", STOPPED],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (130, "goes on\nin order\n"), done.stderr
    assert done.stderr == "error: stopped; what was finished is kept, run the same command again to go on\n"


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("secondlook.registry", {"torch", "transformers"}),
        ("secondlook.diagnosis.diagnose", {"scipy.stats", "scipy.optimize", "inspect_ai"}),
    ],
)
def test_what_takes_long_to_import_waits_until_it_is_needed(module, without):
    code = f"import {module}, sys; print(*{without} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
