"""A benchmark that stands in this file alone goes through everything: eval, shards, resume, report, diagnose, plan."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner

from secondlook.benchmarks import benchmark as door
from secondlook.benchmarks.benchmark import Asked, Benchmark, Display, Graded, Questions, option
from secondlook.cli.evaluate import CriticOptions, ModelOptions, RunOptions, evaluate
from secondlook.diagnosis.diagnose import diagnose
from secondlook.diagnosis.reading import read_tables
from secondlook.evaluation.evaluate import report_folder
from secondlook.evaluation.logs import read_logged
from secondlook.evaluation.planning.pilot import read_pilot
from secondlook.evaluation.report import read as read_report
from secondlook.prompts.worded import Worded


@dataclass(frozen=True, slots=True)
class Sum:
    id: str
    category: str
    template: str
    condition: str | None
    left: int
    right: int


@dataclass(frozen=True, slots=True)
class SumCase(Worded):
    item: Sum
    file: object

    @property
    def sample(self):
        return self.item.id

    def query(self, round_index):
        return self.file.query.format(prompt=f"{self.item.left} + {self.item.right} = ?")

    def reask(self, round_index, *, repeat_query, critiqued):
        return self.file.reask(self.query(round_index), repeat_query=repeat_query, critiqued=critiqued)

    def grade(self, answer, finish="stop"):
        return SUMS.read(self.item, answer, "stop").correct


@dataclass(frozen=True, slots=True)
class SumOptions:
    count: int = option(6, "How many sums.")


class Sums(Benchmark):
    name = "sums"
    about = "Sums."
    item = Sum
    options = SumOptions
    prompts = "own"
    prompt = "own/binary-cot"

    def questions(self, options: SumOptions, seed: int) -> Questions:
        sums = [Sum(f"sum/{n}", "small" if n < 3 else "large", f"t{n % 3}", None, n, seed) for n in range(12)]
        return Questions([Asked(one) for one in sums[: options.count]], [Asked(one) for one in sums[options.count :]])

    def shown(self, item):
        return Display(f"{item.left} + {item.right}", str(item.left + item.right))

    def case(self, asked, file, words: Mapping[str, str]):
        return SumCase(asked.item, file)

    def read(self, item, answer, finish):
        """Whether the reply is long: the planted subject speaks no numbers, and something must differ."""
        return Graded(answer, len(answer) % 2 == item.left % 2, "ok") if answer else Graded(answer, None, "unparsed")


SUMS = Sums()


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setattr(door, "_REGISTERED", {})
    door.register(SUMS)


def run(folder, **running):
    model = ModelOptions(model="secondlook/planted", reply_tokens=8)
    critics = CriticOptions(critic=("oracle", "none"))
    evaluate(SUMS, model, critics, SUMS.options(count=6), RunOptions(out=folder, **running))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sums")


def test_it_is_asked_reported_diagnosed_and_planned(folder):
    run(folder)
    records = read_tables([folder])
    assert set(records["arm"]) == {"oracle", "none"}
    assert len(records) == 2 * 2 * 6
    report = report_folder(folder)
    assert (report.benchmark, report.summary) == ("sums", None)
    assert [group.group for group in report.arms[0].groups] == ["large", "small", "all"]
    assert not report.arms[0].bias
    assert diagnose(records, arm="oracle").overall.comparisons
    assert read_pilot(folder).evaluation.benchmark == "sums"


def test_a_second_call_asks_nothing_again(folder, monkeypatch):
    from secondlook.local import provider

    monkeypatch.setattr(provider.LocalProvider, "generate", None)
    run(folder)


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("query", lambda self, index: "What is it?"),
        ("check", lambda self, index: "Is it?"),
        ("reask", lambda self, index, *, repeat_query, critiqued: "Again." if critiqued else "Once more."),
        ("feedback", lambda self, verdict: f"It is {verdict}."),
        ("system", property(lambda self: "You add.")),
    ],
)
@pytest.mark.parametrize("fast", [False, True])
def test_words_that_changed_are_not_taken_for_those_that_were_asked(folder, tmp_path, monkeypatch, fast, part, says):
    """Items and prompt file are the same, and so was the folder: it showed old answers as those to new words."""
    at = tmp_path.parent / "fast" if fast else folder
    run(at, fast=fast)
    monkeypatch.setattr(SumCase, part, says)
    with pytest.raises(ValueError, match=r"holds a run with (oracle|none)\.hash of the words"):
        run(at, fast=fast)
    with pytest.raises(ValueError, match="asked in other words than it would here"):
        read_pilot(at)


def test_it_is_asked_in_shards(folder, tmp_path):
    run(tmp_path, shards=2)
    whole, parts = (
        {(one.arm, one.item.id): one.transcript.answer for one in read_logged(at)} for at in (folder, tmp_path)
    )
    assert parts == whole


def test_a_run_without_one_answer_that_can_be_read_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Sums, "read", lambda self, item, answer, finish: Graded(answer, None, "unparsed"))
    run(tmp_path, fast=True)
    said = "Benchmark 'sums' read none of the 24 answers of oracle, none; ask for answers in the form that it reads"
    assert capsys.readouterr().err.count(said) == 1


@pytest.mark.parametrize(("readable", "noted"), [(2, True), (3, False)])
def test_a_run_of_whose_answers_most_cannot_be_read_says_so(tmp_path, monkeypatch, readable, noted):
    def read(self, item, answer, finish):
        return Graded(answer, True, "ok") if item.left < readable else Graded(answer, None, "unparsed")

    monkeypatch.setattr(Sums, "read", read)
    run(tmp_path, fast=True)
    said = [note for note in read_report(tmp_path).notes if "cannot be read: they count as not right" in note]
    arms = ("'none'", "'oracle'") if noted else ()
    assert [note.partition(" of ")[2].partition(" ")[0] for note in said] == [*arms]
    assert all("Of the 12 answers" in note and " 8 cannot" in note for note in said)


def test_the_command_line_knows_the_benchmarks_and_only_their_options():
    from secondlook.cli import app

    runner = CliRunner()
    listed = runner.invoke(app, ["eval", "--help"], env={"COLUMNS": "80"}).output
    assert all(name in listed for name in ("bbq", "refusal", "own", "planted"))
    own = runner.invoke(app, ["eval", "own", "--help"], env={"COLUMNS": "80"}).output
    assert "--grader" in own
    assert "--defence" not in own
    assert all(panel in own for panel in ("Model", "Questions", "Critics and rounds", "Running"))
