"""The fast path keeps what it has finished, and goes on after it."""

from dataclasses import replace

import pandas as pd
import pytest

from command import CACHED, TIMES
from secondlook.evaluation import fast
from secondlook.evaluation.asking import Endpoint
from secondlook.evaluation.evaluate import report_folder, run_evaluation
from secondlook.evaluation.evaluation import Evaluation
from secondlook.evaluation.fast import run_arms
from secondlook.evaluation.kept import NAME, KeptTranscripts
from secondlook.files import DataError

EVALUATION = Evaluation(
    benchmark="planted",
    endpoint=Endpoint(model="secondlook/planted", max_tokens=16),
    arms=("none", "self"),
    questions={"per_category": 1},
)


def run(folder):
    run_evaluation(EVALUATION, folder, quiet=True, arms=run_arms)
    return pd.read_csv(folder / "records.csv")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp("whole"))


def test_a_stopped_run_asks_only_what_it_has_not_finished(tmp_path, monkeypatch, whole):
    study, asked = fast.run_study, []

    def stopped(*args, on_transcript, **options):
        """In parts of four, and stopped within the second part of the second arm."""
        asked.append(len(args[1]))

        def told(transcript):
            if len(asked) == 2 and stopped.seen == 6:
                raise KeyboardInterrupt
            stopped.seen += len(asked) == 2
            on_transcript(transcript)

        return study(*args, on_transcript=told, chunk=4, **options)

    stopped.seen = 0
    with monkeypatch.context() as patch:
        patch.setattr(fast, "run_study", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
        assert (asked, stopped.seen) == ([11, 11], 6)

        # Killed in the middle of a line: that sample alone is lost.
        file = tmp_path / "self" / NAME
        held = file.read_bytes()
        file.write_bytes(held[:-40])
        kept = held[: held[:-1].rindex(b"\n") + 1]
        first = (tmp_path / "none" / NAME).read_bytes()
        again = run(tmp_path)
        assert asked == [11, 11, 6]
    assert file.read_bytes().startswith(kept)
    assert (tmp_path / "none" / NAME).read_bytes() == first
    same = [name for name in whole.columns if name not in (*TIMES, *CACHED)]
    pd.testing.assert_frame_equal(again[same], whole[same], atol=1e-5)


def test_a_finished_run_asks_nobody(tmp_path, monkeypatch):
    records = run(tmp_path)

    def nobody(*args, **options):
        pytest.fail("asked again")

    monkeypatch.setattr(fast, "run_study", nobody)
    pd.testing.assert_frame_equal(run(tmp_path), records)


def test_a_report_is_on_the_arms_of_earlier_calls_too(tmp_path):
    """The same arms by one call and by three, with noise that the control does not have."""
    noisy = replace(EVALUATION, arms=("self", "none", "verify-first"), study={"noise": 0.2})
    by_one, by_three = tmp_path / "one", tmp_path / "three"
    run_evaluation(noisy, by_one, quiet=True, arms=run_arms)
    for arms in (("self",), ("self", "none", "verify-first"), ("self",)):
        report = run_evaluation(replace(noisy, arms=arms), by_three, quiet=True, arms=run_arms)
    same = pd.read_csv(by_one / "records.csv"), pd.read_csv(by_three / "records.csv")
    assert [*same[1]["arm"].unique()] == ["noisy(0.2, self)", "none", "verify-first"]
    assert [arm.arm for arm in report.arms] == [*same[1]["arm"].unique()]
    timeless = [name for name in same[0].columns if name not in (*TIMES, *CACHED)]
    pd.testing.assert_frame_equal(same[0][timeless], same[1][timeless], atol=1e-5)


def test_an_arm_that_an_earlier_call_did_not_finish_is_left_out_and_named(tmp_path):
    run(tmp_path)
    file = tmp_path / "self" / NAME
    file.write_bytes(file.read_bytes()[: -len(file.read_bytes().splitlines(keepends=True)[-1])])
    report = run_evaluation(replace(EVALUATION, arms=("none",)), tmp_path, quiet=True, arms=run_arms)
    assert {*pd.read_csv(tmp_path / "records.csv")["arm"]} == {"none"}
    said = (
        "Arm 'self' of this folder is left out: 1 of its 11 questions are not finished; give it with the others to go"
    )
    assert any(note.startswith(said) for note in report.notes)


def test_failed_samples_are_not_kept_and_a_strange_line_is_named(tmp_path):
    run(tmp_path)
    file = tmp_path / "self" / NAME
    with KeptTranscripts(file) as kept:
        good = next(iter(kept.finished.values()))
    with KeptTranscripts(tmp_path / "more" / NAME) as kept:
        assert kept.finished == {}
        kept.add(good)
        kept.add(replace(good, stop="error"))
    with KeptTranscripts(tmp_path / "more" / NAME) as kept:
        assert kept.finished == {good.sample: good}
    whole = file.read_bytes()
    file.write_bytes(b"\n" + whole.rstrip(b"\n"))  # as an editor may leave it
    with KeptTranscripts(file) as kept:
        assert len(kept.finished) == 11
    assert file.read_bytes() == b"\n" + whole
    file.write_text("{}\n")
    with pytest.raises(DataError, match=r"transcripts\.jsonl:1: this is no transcript; remove the line"):
        KeptTranscripts(file)


def test_a_folder_is_not_taken_from_one_path_to_the_other(tmp_path):
    run(tmp_path / "fast")
    with pytest.raises(ValueError, match="holds a run of --fast; give --fast to go on"):
        run_evaluation(EVALUATION, tmp_path / "fast", quiet=True)
    (tmp_path / "fast/records.csv").unlink()
    with pytest.raises(ValueError, match=r"the run of --fast in .* has not ended; end it with the command that began"):
        report_folder(tmp_path / "fast")
    run_evaluation(EVALUATION, tmp_path / "logs", quiet=True)
    with pytest.raises(ValueError, match="holds a run with Inspect's logs; leave out --fast"):
        run(tmp_path / "logs")
