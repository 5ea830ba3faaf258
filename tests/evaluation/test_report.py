"""The report: readable at 80 columns, honest about what is missing, and valid JSON."""

import errno
import io
import json
from dataclasses import replace

import pandas as pd
import pytest
from rich.console import Console

from secondlook import machine
from secondlook.benchmarks.bbq.item import Item
from secondlook.benchmarks.benchmark import find
from secondlook.diagnosis.records import Record, to_frame
from secondlook.evaluation.report import build_report, read, to_json, write
from secondlook.evaluation.shown import show
from secondlook.evaluation.times import Clock
from secondlook.fitting.critics import write_recorded

CATEGORIES = ("Physical_appearance", "Race_x_SES", "Sexual_orientation")


def items(count=4):
    return {
        f"{category}/{number}": Item(
            id=f"{category}/{number}",
            category=category,
            template=f"{category}/{number % 3}",
            condition="ambig" if number % 2 else "disambig",
            polarity="neg",
            context="c",
            question="q",
            options=("x", "y", "unknown"),
            label=2 if number % 2 else 0,
            unknown=2,
            biased=0,
        )
        for category in CATEGORIES
        for number in range(count)
    }


def record(item, round_=0, answer="A", status="ok", **changes):
    choice = None if status != "ok" else "ABC".index(answer)
    return Record(
        **{
            "run": "bbq",
            "arm": "self",
            "critic": "self",
            "variant": "self",
            "noise_p": 0.0,
            "sample": item.id,
            "template": item.template,
            "group": item.category,
            "context": item.condition,
            "round": round_,
            "answer": None if status == "error" else answer,
            "correct": None if choice is None else choice == item.label,
            "bias": None if choice is None else item.bias(choice),
            "status": status,
            "verdict": None,
            "tokens_in": 1000,
            "tokens_out": 200,
            "tokens_cached": 0,
            "seconds": 0.5,
            "model": "openai/gpt-4o-mini",
            "revision": None,
            "prompt": "bbq/binary-cot@0",
            "chat_template": None,
            "decoding": "{}",
        }
        | changes
    )


def report(records, **options):
    return build_report(find("bbq"), to_frame(records), **options)


def text(made, width=80):
    console = Console(file=io.StringIO(), width=width)
    show(made, console)
    return console.file.getvalue()


@pytest.mark.parametrize("rounds", [1, 2, 3, 4, 7, 12])
def test_every_line_fits_80_columns_and_no_number_is_broken(rounds):
    records = [
        record(item, round_, "ABC"[(place + round_) % 3], verdict="wrong" if round_ < rounds - 1 else None)
        for place, item in enumerate(items().values())
        for round_ in range(rounds)
    ]
    out = text(report(records))
    assert max(map(len, out.splitlines())) <= 80
    for round_ in range(rounds):
        assert out.count(f"round {round_} ") + out.count(f"round {round_}\n") == 1
    assert "…" not in out
    for category in CATEGORIES:
        assert category in out


def test_the_critics_line_cannot_be_read_as_the_verdict_it_gave():
    records = [record(item, round_, verdict="wrong") for item in items().values() for round_ in (0, 1)]
    assert "critic: was right in 50.0%" in " ".join(text(report(records)).split())


def test_all_of_bbq_fits_80_columns():
    records = [record(item, round_, "ABC"[round_]) for item in items(3334).values() for round_ in range(2)]
    lines = text(report(records)).splitlines()
    assert any(line.startswith("all") and " 10002 " in line for line in lines)
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)


def test_a_terminal_that_is_wider_has_the_rounds_side_by_side():
    records = [record(item, round_) for item in items().values() for round_ in range(7)]
    lines = text(report(records), width=200).splitlines()
    assert any("round 0" in line and "round 6" in line for line in lines)


def test_arms_stand_in_the_order_asked_for():
    records = [record(item, arm=arm) for item in items().values() for arm in ("none", "self")]
    out = text(report(records, arms=["self", "none"]))
    assert out.index("critic: self") < out.index("critic: none")


def test_bias_is_of_the_answers_in_hand():
    """A sample whose loop ended early keeps its answer, in the bias score as in the accuracy."""
    questions = items(1)
    early, *others = questions.values()
    records = [record(early, answer="B"), *(record(item, round_, "A") for item in others for round_ in (0, 1))]
    (arm,) = report(records).arms
    scores = [bias["disambig"].value for bias in arm.bias]
    assert scores[0] == scores[1] == pytest.approx(2 * 2 / 3 - 1)
    assert [line.samples for line in arm.rounds] == [3, 3]
    # A new answer that was rejected is not in hand either.
    records = [record(item, round_, "AB"[round_], kept=round_ == 0) for item in others for round_ in (0, 1)]
    (arm,) = report(records).arms
    assert [bias["disambig"].value for bias in arm.bias] == [1.0, 1.0]
    assert [line.accuracy.value for line in arm.rounds] == [1.0, 1.0]


def test_errors_are_counted_and_nothing_is_made_up():
    records = [record(item, status="error") for item in items().values()]
    made = report(records)
    out = text(made)
    assert made.sentence == "No sample has an answer; nothing can be said."
    assert "12 samples of 12 ended in an error. The same command again asks only what failed." in " ".join(out.split())
    assert "nan" not in out.lower()


def test_a_sample_is_lost_once_however_many_of_its_answers_are_errors():
    """A judge that failed leaves no word on any answer of a sample."""
    lost, *others = items().values()
    records = [record(lost, round_, status="error") for round_ in range(2)]
    records += [record(item, round_) for item in others for round_ in range(2)]
    assert report(records).lost.startswith("1 sample of 12 ended in an error.")


def test_a_round_that_always_fails_has_no_mean():
    records = [one for item in items().values() for one in (record(item), record(item, 1, status="error"))]
    made = report(records)
    assert json.loads(to_json(made))["arms"][0]["rounds"][1]["seconds"] is None
    assert "nan" not in text(made).lower()
    assert len(made.arms[0].bias) == 2


def test_no_errors_no_note():
    made = report([record(item) for item in items().values()])
    assert made.lost is None
    assert not any("rewrites" in note for note in made.notes)


def test_a_rewriting_template_is_told_of():
    notes = report([record(item) for item in items().values()], prefix_rewritten=True).notes
    assert any("rewrites earlier turns" in note for note in notes)


@pytest.mark.parametrize(
    ("benchmark", "model", "planted", "foreign"),
    [
        ("bbq", "secondlook/planted", True, True),
        ("planted", "secondlook/planted", True, False),
        ("bbq", "openai/gpt-4o-mini", False, False),
    ],
)
def test_the_planted_subject_is_never_shown_without_its_warning(benchmark, model, planted, foreign):
    made = build_report(find(benchmark), to_frame([record(item, model=model) for item in items().values()]))
    assert any("say nothing about real models" in note for note in made.notes) is planted
    assert any("never seen English" in note for note in made.notes) is foreign


@pytest.mark.parametrize(
    ("first", "last", "arm", "said"),
    [
        ("B", "AC", "self", "Looking again once (critic: self) helps this model: +100.0 points"),
        ("AC", "B", "none", "Looking again once (critic: self) hurts this model: -100.0 points"),
        ("AC", "AC", "self", "Whether looking again once (critic: self) helps this model is undecided: +0.0 points"),
    ],
)
def test_one_sentence_says_what_it_means(first, last, arm, said):
    def answer(item, letters):
        return letters if len(letters) == 1 else "A" if item.label == 0 else "C"

    records = [
        record(item, round_, answer(item, letters), arm=arm)
        for item in items(24).values()
        for round_, letters in enumerate((first, last))
    ]
    sentence = report(records).sentence
    assert sentence.startswith(said)
    assert "By group it helps in" in sentence


def test_what_is_not_known_is_said_so():
    details = report([record(item) for item in items().values()]).details
    assert details["revision"] == "not told by the provider"
    assert details["chat template"] == "kept by the server"


def test_the_files_hold_what_was_shown(tmp_path):
    frame = to_frame(record(item, round_) for item in items().values() for round_ in range(2))
    made = build_report(find("bbq"), frame)
    paths = write(made, frame, tmp_path / "new")
    assert [path.name for path in paths] == ["report.json", "rounds.csv", "records.csv"]
    data = json.loads(paths[0].read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert data["sentence"] == made.sentence
    assert len(paths[1].read_text().splitlines()) == 3
    assert len(paths[2].read_text().splitlines()) == 1 + 24


def test_a_report_is_read_from_its_files_as_it_was_whatever_its_names(tmp_path):
    """Names that pandas takes for missing ones, or for numbers, in every column of names."""
    names = ("NA", "None", "null", "nan", "007")
    asked = [
        replace(item, id=f"{name}{at}" if at else name, category=name, template=name)
        for name in names
        for at, item in enumerate(items().values())
    ]
    rows = [record(item, round_, "ABC"[(at + round_) % 3]) for at, item in enumerate(asked) for round_ in (0, 1)]
    records = to_frame(rows)
    made = build_report(find("bbq"), records, arms=["self"])
    write(made, records, tmp_path)
    found = read(tmp_path)
    assert [change.group for change in found.arms[0].groups] == [*sorted(names), "all"]
    assert [group.group for group in found.diagnoses["self"].groups] == sorted(names)
    assert json.loads(to_json(found)) == json.loads(to_json(made))


def test_files_of_a_report_are_whole_or_as_they_were(tmp_path, monkeypatch):
    """The disk is full in the middle of every file, in turn."""
    records = to_frame([record(item, round_) for item in items().values() for round_ in (0, 1)])
    made = build_report(find("bbq"), records, arms=["self"])
    paths = write(made, records, tmp_path)
    before = [path.read_bytes() for path in paths]
    times = tmp_path / "times.json"
    times.write_text("{}")

    def full(self, data):
        super(machine._Part, self).write(bytes(data)[: len(data) // 2])
        self.failed = True
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(machine._Part, "write", full)
    clock = Clock()
    clock.mark()
    clock.mark()
    for act in (lambda: write(made, records.head(3), tmp_path), lambda: clock.keep(tmp_path)):
        with pytest.raises(OSError, match="No space left on device; what was saved before is kept"):
            act()
    with pytest.raises(OSError, match="what was saved before is kept"):
        write_recorded(paths[0], pd.DataFrame({"sample": ["a"], "round": 0, "verdict": "wrong"}))
    assert [path.read_bytes() for path in paths] == before
    assert times.read_text() == "{}"
    assert len([*tmp_path.iterdir()]) == 4
