"""Evaluations in shards are those in one piece: row by row, in Inspect's logs, with several servers, after a kill."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from inspect_ai.log import list_eval_logs, read_eval_log

from command import finish, records, secondlook, start

ROOT = Path(__file__).parents[2]
PLANTED = ("eval", "planted", "--model", "secondlook/planted-0.1m", "--reply-tokens", 16, "--no-diagnose")


def both(tmp_path, *arguments, shards=2):
    """The records of a run in one piece and in shards."""
    for out, more in (("whole", ()), ("parts", ("--shards", shards))):
        done = secondlook(*arguments, *more, "--out", tmp_path / out)
        assert done.code == 0, done.err
    return records(tmp_path / "whole"), records(tmp_path / "parts")


@pytest.fixture(scope="module")
def controls(tmp_path_factory):
    """The folder of a run of self and its controls, and its records in one piece and in five shards."""
    folder = tmp_path_factory.mktemp("controls")
    arms = [word for critic in ("self", "none", "vote", "always-unknown") for word in ("--critic", critic)]
    return folder, *both(folder, *PLANTED, "--per-category", 2, *arms, shards=5)


def test_controls_in_shards_equal_the_whole_row_by_row(controls):
    _, whole, parts = controls
    assert len(whole) >= 22
    assert set(whole["arm"]) == {"self", "none", "vote", "always-unknown"}
    assert parts.equals(whole)


@pytest.mark.parametrize(
    "arms",
    [
        ("--critic", "oracle", "--noise", 0.3, "--rounds", 2, "--stop", "satisfied"),
        ("--critic", "self", "--variant", "diverse", "--temperature", 0.7),
        ("--critic", "other", "--critic-model", "secondlook/planted-0.5m", "--variant", "diverse"),
    ],
    ids=["noise", "diverse", "other"],
)
def test_shards_equal_the_whole_row_by_row(tmp_path, arms):
    whole, parts = both(tmp_path, *PLANTED, "--per-category", 2, *arms)
    assert len(whole) >= 22
    assert parts.equals(whole)


def test_defences_in_shards_equal_the_whole(tmp_path):
    assert secondlook("data", "make", "refusal", tmp_path / "data", "--per-category", 1).code == 0
    files = (
        "--behaviours",
        tmp_path / "data/harmful-behaviors.csv",
        "--benign",
        tmp_path / "data/benign-behaviors.csv",
    )
    run = ("eval", "refusal", "--model", "secondlook/planted-0.1m", *files, "--reply-tokens", 24, "--limit", 6)
    whole, parts = both(tmp_path, *run, "--defence", "none", "--defence", "icd", "--defence", "self", shards=3)
    assert set(whole["arm"]) == {"none", "icd", "self"}
    assert parts.equals(whole)


def test_the_merged_log_is_the_whole_s_and_inspect_shows_it_alone(controls, tmp_path):
    folder, _, before = controls
    (file,) = (folder / "whole/self").glob("*.eval")
    whole, merged = read_eval_log(str(file)), read_eval_log(str(folder / "parts/self/self.eval"))
    assert merged.status == "success"
    assert [sample.id for sample in merged.samples] == [sample.id for sample in whole.samples]
    for one, other in zip(merged.samples, whole.samples, strict=True):
        assert one.scores["first_and_last"].value == other.scores["first_and_last"].value
        assert [message.text for message in one.messages] == [message.text for message in other.messages]
    assert merged.eval.dataset.sample_ids == whole.eval.dataset.sample_ids
    assert merged.eval.task_args == whole.eval.task_args
    assert merged.stats.model_usage == whole.stats.model_usage
    assert merged.results.total_samples == merged.results.completed_samples == 22
    for one, other in zip(merged.results.scores, whole.results.scores, strict=True):
        assert {name: metric.value for name, metric in one.metrics.items()} == pytest.approx(
            {name: metric.value for name, metric in other.metrics.items()}
        )
    ledger = merged.eval.shards.ledger
    assert [entry.samples for entry in ledger] == [4, 4, 5, 4, 5]
    for entry in ledger:
        assert (folder / "parts/self/self.shards" / entry.shard / entry.log).stat().st_size == entry.size
    # What `inspect view` is served for its list: finished parts are hidden behind what they were merged into.
    listed = subprocess.run(
        [
            Path(sys.executable).with_name("inspect"),
            "view",
            "bundle",
            "--log-dir",
            folder / "parts",
            "--output-dir",
            tmp_path / "view",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert listed.returncode == 0, listed.stderr
    listing = json.loads((tmp_path / "view/logs/listing.json").read_text())
    assert sorted(Path(log).name for log in listing) == ["none.eval", "self.eval", "vote.eval"]
    # A report from the merged log alone, e.g. after its parts were thrown away.
    for log in list_eval_logs(str(folder / "parts/self/self.shards")):
        Path(log.name.removeprefix("file://")).unlink()
    assert secondlook("report", folder / "parts").code == 0
    assert records(folder / "parts").equals(before)


def test_a_run_in_shards_that_is_killed_goes_on_and_asks_nothing_twice(tmp_path):
    notes, script = tmp_path / "notes", tmp_path / "critic.py"
    script.write_text(
        "import json, sys, time\n"
        "open(sys.argv[1], 'a').write(json.load(sys.stdin)['sample'] + '\\n')\n"
        "time.sleep(0.3)\nprint('Verdict: biased')\n"
    )
    run = (*PLANTED, "--per-category", 3, "--critic", "tool", "--max-connections", 2, "--log-buffer", 1)
    run += ("--critic-command", f"{sys.executable} -I -S {script} {notes}", "--shards", 3, "--out", "out")
    process = start(*run, cwd=tmp_path)
    deadline = time.monotonic() + 600
    while len(notes.read_text().split() if notes.exists() else ()) < 16:
        assert time.monotonic() < deadline
        assert process.poll() is None, finish(process)
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = finish(start(*run, cwd=tmp_path))
    assert done.code == 0, done.err
    asked = Counter(notes.read_text().split())
    assert len(asked) == 33
    # In flight, or finished and not yet written, when it was killed: one for each connection and the buffer.
    assert sum(asked.values()) - 33 <= 2 * 2
    assert len(records(tmp_path / "out")) == 66


@contextmanager
def adders(count):
    """So many servers of the example's planted endpoint, and how many requests each has had."""
    sys.path.insert(0, str(ROOT / "examples/own-task"))
    try:
        from endpoint import Chat
    finally:
        sys.path.pop(0)
    counts, servers = [0] * count, []
    for number in range(count):

        class Counting(Chat):
            which = number

            def do_POST(self):
                counts[self.which] += 1
                super().do_POST()

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Counting))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
    try:
        yield [f"http://127.0.0.1:{server.server_port}/v1" for server in servers], counts
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def test_shards_are_dealt_out_among_servers(tmp_path, monkeypatch):
    for name in ("LOCAL_API_KEY", "LOCAL_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    run = ("eval", "own", "--data", ROOT / "examples/own-task/sums.jsonl", "--grader", "number", "--limit", 40)
    run += ("--model", "openai-api/local/adder", "--critic", "self", "--critic", "none", "--no-diagnose")

    def apart(*words):
        """As processes: Inspect leaves its connections to the end of the process."""
        return finish(start(*words, cwd=tmp_path))

    with adders(3) as (addresses, counts):
        urls = [word for address in addresses for word in ("--base-url", address)]
        assert apart(*run, "--base-url", addresses[0], "--out", tmp_path / "whole").code == 0
        alone = counts[0]
        counts[:] = [0, 0, 0]
        done = apart(*run, *urls, "--shards", 3, "--out", tmp_path / "parts")
        assert done.code == 0, done.err
        assert sum(counts) == alone
        assert all(count > alone / 6 for count in counts), counts
        assert records(tmp_path / "parts").equals(records(tmp_path / "whole"))
        assert "several servers share --shards" in secondlook(*run, *urls, "--out", tmp_path / "no").error
    gone = secondlook(*run, *urls, "--shards", 3, "--out", tmp_path / "gone")
    assert "nobody listens at" in gone.error


def test_a_folder_keeps_its_number_of_shards(tmp_path):
    run = (*PLANTED, "--limit", 11, "--rounds", 0)
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    assert secondlook(*run, "--shards", 12, "--out", parts).error.startswith("shards is 12: give 1 to 11")
    assert secondlook(*run, "--shards", 0, "--out", tmp_path / "none").error.startswith("shards is 0: give 1 to 11")
    assert secondlook(*run, "--shards", 2, "--out", parts).code == 0
    assert (
        "holds a run in 2 shards, and now it is 3; leave --shards out"
        in secondlook(*run, "--shards", 3, "--out", parts).error
    )
    assert "holds a run in shards; give --shards or --cluster to go on" in secondlook(*run, "--out", parts).error
    assert secondlook(*run, "--out", whole).code == 0
    assert "holds a run that is not in shards" in secondlook(*run, "--shards", 2, "--out", whole).error
    assert "leave out --fast, or the shards" in secondlook(*run, "--shards", 2, "--fast", "--out", whole).error


def test_logs_go_to_another_place_and_reports_find_them_there(tmp_path):
    run = (*PLANTED, "--limit", 22, "--shards", 2, "--out", tmp_path / "out", "--logs", tmp_path / "logs")
    assert secondlook(*run).code == 0
    assert not list((tmp_path / "out").rglob("*.eval"))
    assert (tmp_path / "logs/self/self.eval").is_file()
    before = records(tmp_path / "out")
    assert secondlook("report", tmp_path / "out", "--logs", tmp_path / "logs").code == 0
    assert records(tmp_path / "out").equals(before)
    assert secondlook(*run).code == 0
    assert records(tmp_path / "out").equals(before)


def test_a_history_is_paid_for_once_however_often_its_part_goes_on(faulty, tmp_path):
    run = ("eval", "planted", "--model", "openai-api/local/m", "--base-url", faulty.address, "--variant", "diverse")
    run += ("--limit", 4, "--shards", 2, "--max-retries", 0, "--max-connections", 1, "--no-diagnose")
    run += ("--out", tmp_path / "run")
    asked, failed = [], []

    def second(messages):
        """Whether it is the second question that has a history before it."""
        question, ends, _ = messages[-1]["content"].partition("\n\nAnswer")
        # What makes the history is shorter.
        if question not in asked and len(messages) > 6 and ends:
            asked.append(question)
        if len(asked) > 1 and question == asked[1]:
            failed.append(question)
        return len(asked) > 1 and question == asked[1]

    faulty.misbehave("500", where=second)
    secondlook(*run)
    assert failed
    assert list(records(tmp_path / "run")["status"]).count("error") == 1
    faulty.heal()
    assert secondlook(*run).code == 0
    table = records(tmp_path / "run")
    assert set(table["status"]) == {"ok"}
    # Ten tokens a call, as the server counts.
    assert table[["tokens_in", "tokens_out"]].sum().sum() == 10 * (len(faulty.asked) - len(failed))
