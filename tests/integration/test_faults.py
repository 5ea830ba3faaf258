"""Servers that fail: the run recovers, or says in one line why not, and nothing is lost."""

import json
import socket
import time

import pytest
from odd_replies import SPOILT

from command import records, secondlook

EVAL = ("eval", "planted", "--model", "openai-api/local/m", "--per-category", 1)


def run(server, folder, *options):
    return secondlook(
        *EVAL, "--base-url", getattr(server, "address", server), "--max-retries", 0, "--out", folder, *options
    )


def first_questions(server):
    """The questions asked, one per sample and round 0."""
    return [messages[0]["content"] for messages in server.asked if len(messages) == 1]


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("429", "429"),
        ("500", "500"),
        ("400", "400"),
        ("404", "404"),
        ("not json", "no chat completion: '<html>Bad gateway"),
        ("torn json", "no chat completion"),
        ("other json", "hello"),
        ("no choice", "no choice"),
        ("truncated", "Connection error"),
        ("empty", "empty completion"),
        ("null", "empty completion"),
    ],
)
def test_a_server_that_always_fails_is_one_line_and_a_later_run_makes_it_good(faulty, tmp_path, fault, cause):
    faulty.misbehave(fault)
    line = run(faulty, tmp_path / "run", "--limit", 2).error
    assert "not one of 2 samples" in line
    assert faulty.address in line
    assert cause in line
    assert "run the same command again" in line

    faulty.heal()
    done = run(faulty, tmp_path / "run", "--limit", 2)
    assert done.code == 0, done.err
    assert list(records(tmp_path / "run")["status"]) == ["ok"] * 4


@pytest.mark.parametrize("shards", [(), ("--shards", 2)], ids=["whole", "shards"])
@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ("null", "it came to its token limit: allow more tokens; give more --reply-tokens, and another --out"),
        ("401", "no such key; see that the key of its provider's variable is right (--help names it), then run"),
        ("500", "out of memory; see that the model is there and answers, then run the same command again"),
    ],
)
def test_the_remedy_is_that_of_the_cause_and_the_servers_troubles_are_its_own(faulty, tmp_path, spoilt, said, shards):
    faulty.odd = lambda _, reply: SPOILT[spoilt][0](reply)
    line = run(faulty, tmp_path / "run", "--limit", 2, *shards).error
    assert line.startswith("not one of ")
    assert said in line


def test_an_address_without_its_scheme_is_not_a_missing_key(tmp_path):
    line = run("127.0.0.1:8000/v1", tmp_path / "run").error
    assert line == "base url '127.0.0.1:8000/v1' has no http:// or https://; give http://127.0.0.1:8000/v1"


def test_no_server_at_all_is_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: refused
        start = time.monotonic()
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        line = run(address, tmp_path / "run", "--limit", 400).error
    assert f"nobody listens at {address}" in line
    assert "run the same command again" in line
    assert time.monotonic() - start < 10  # not once for each sample


def test_a_server_that_hangs_is_given_up(faulty, tmp_path):
    faulty.misbehave("hang")
    done = run(faulty, tmp_path / "run", "--limit", 2, "--timeout", 1)
    assert done.code == 2
    said, line = [line for line in done.err.splitlines() if "given up" in line or line.startswith("error: ")]
    assert "with --timeout 1, --stall 600 and --max-connections" in said
    assert "not one of 2 samples" in line
    assert "timeout" in line.lower()


@pytest.mark.parametrize("fault", ["429", "500", "truncated"])
def test_a_fault_that_passes_is_survived(faulty, tmp_path, fault):
    faulty.misbehave(fault, times=1)
    done = run(faulty, tmp_path / "run", "--limit", 2, "--max-retries", 1)
    assert done.code == 0, done.err
    assert list(records(tmp_path / "run")["status"]) == ["ok"] * 4


def test_inspect_repeats_what_the_client_gave_up(faulty, tmp_path):
    faulty.misbehave("500", times=3)  # the client tries three times
    done = run(faulty, tmp_path / "run", "--limit", 1, "--rounds", 0, "--max-retries", 1)
    assert done.code == 0, done.err
    assert len(faulty.asked) == 4


@pytest.mark.parametrize(
    ("fault", "turn"),
    [("500", 0), ("500", 1), ("500", 2), ("not json", 1), ("empty", 0), ("empty", 1), ("white", 2)],
)
def test_samples_that_fail_are_shown_and_asked_again_alone(faulty, tmp_path, fault, turn):
    """One of four samples fails, at its first answer, its critique or its second answer."""
    victim = "brel"
    faulty.misbehave(fault, where=lambda messages: victim in messages[0]["content"] and len(messages) == 2 * turn + 1)
    done = run(faulty, tmp_path / "run", "--limit", 4)
    table = records(tmp_path / "run")
    failed = table[table["status"] == "error"]
    kept = table[table["sample"].isin(failed["sample"]) & (table["status"] == "ok")]
    if fault == "empty" and turn == 1:
        # An empty critique is no failure: it stands as one that states no verdict.
        assert failed.empty
        assert done.code == 0, done.err
        return
    # Whoever looks at the exit code alone has to see that answers are missing, and the first cause.
    assert done.code == 3
    said = " ".join(done.err.split())
    assert said.startswith("1 sample of 4 ended in an error, the first in: ")
    assert said.endswith("The same command again asks only what failed.")
    assert {"500": "500", "not json": "no chat completion"}.get(fault, "empty completion") in said
    assert "1 sample of 4 ended in an error" in " ".join(done.out.split())
    assert list(failed["round"]) == [1 if turn else 0]
    assert len(kept) == (1 if turn else 0)  # the good first answer is not lost
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert sum(line["errors"] for line in report["arms"][0]["rounds"]) == 1

    faulty.heal()
    faulty.asked.clear()
    again = run(faulty, tmp_path / "run", "--limit", 4)
    assert again.code == 0
    assert "ended in an error" not in again.out
    assert len(first_questions(faulty)) == 1
    assert victim in first_questions(faulty)[0]
    assert list(records(tmp_path / "run")["status"]) == ["ok"] * 8

    faulty.asked.clear()
    assert run(faulty, tmp_path / "run", "--limit", 4).code == 0
    assert faulty.asked == []


def test_a_run_that_fails_again_keeps_what_it_has(faulty, tmp_path):
    faulty.misbehave("500", where=lambda messages: "brel" in messages[0]["content"])
    for _ in range(3):
        assert run(faulty, tmp_path / "run", "--limit", 3).code == 3
    table = records(tmp_path / "run")
    assert sorted(table["status"]) == ["error"] + ["ok"] * 4


def test_what_is_asked_for_reaches_the_server(faulty, tmp_path):
    done = run(faulty, tmp_path / "greedy", "--limit", 1, "--reply-tokens", 9)
    assert done.code == 0, done.err
    for settings in faulty.settings:
        assert (settings["model"], settings["temperature"], settings["max_tokens"]) == ("m", 0, 9)
        assert "seed" not in settings

    faulty.settings.clear()
    assert run(faulty, tmp_path / "sampled", "--limit", 1, "--temperature", 0.7).code == 0
    assert [settings["temperature"] for settings in faulty.settings] == [0.7] * 3
    seeds = [settings["seed"] for settings in faulty.settings]
    assert len(set(seeds)) == 3
    assert json.loads(records(tmp_path / "sampled")["decoding"][0]) == {"max_tokens": 512, "temperature": 0.7}

    faulty.settings.clear()
    assert run(faulty, tmp_path / "again", "--limit", 1, "--temperature", 0.7).code == 0
    assert [settings["seed"] for settings in faulty.settings] == seeds


def test_inspects_cache_is_asked_first(faulty, tmp_path, monkeypatch):
    monkeypatch.setenv("INSPECT_CACHE_DIR", str(tmp_path / "cache"))
    assert run(faulty, tmp_path / "first", "--limit", 2, "--cache").code == 0
    assert len(faulty.asked) == 6
    assert run(faulty, tmp_path / "second", "--limit", 2, "--cache").code == 0
    assert len(faulty.asked) == 6
    assert run(faulty, tmp_path / "third", "--limit", 2).code == 0
    assert len(faulty.asked) == 12


def test_a_critic_that_fails_fails_the_sample_and_keeps_its_answer(faulty, tmp_path):
    done = run(faulty, tmp_path / "run", "--limit", 2, "--critic", "tool", "--critic-command", "false")
    assert "not one of 2 samples" in done.error
    assert "'false' exited with code 1" in done.error
    table = records_of(tmp_path / "run")
    assert list(table["status"]) == ["ok", "error"] * 2


def records_of(folder):
    """The records of a run that ended without a report."""
    assert secondlook("report", folder).code == 0
    return records(folder)
