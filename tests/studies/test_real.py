"""A real model's bench: what is kept of what it was asked, and what is not."""

import contextlib
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from secondlook.benchmarks.refusal import benchmark as refusal
from secondlook.benchmarks.refusal.defences import Reminder
from secondlook.evidence.experiment import conduct
from secondlook.local.weights import catalogue
from secondlook.studies.counting import CountingBench
from secondlook.studies.experiments import EXPERIMENTS, REAL
from secondlook.studies.real import RealBench, demonstrated, profile_of, read_records, without_text

ROOT = Path(__file__).parents[2]
WORDS = {"model", "decoding"}
"""Columns that may hold more than one word, none of a data set's or a reply's."""


def test_a_study_asks_once_and_keeps_no_text(smollm2, tmp_path):
    said = []
    asked = replace(profile_of("smollm2-135m"), model=f"secondlook/{smollm2}", problems=2)
    bench = RealBench(asked, tmp_path / "store", tmp_path / "work", said.append)
    result = conduct(REAL["R1"], bench, tmp_path / "R1", "secondlook study run R1")
    assert [part["name"] for part in result["parts"]] == ["self", "beyond", "beyond a vote", "truth", "tool"]
    assert len(said) == 5
    kept = sorted((tmp_path / "store/smollm2-135m").glob("*.parquet"))
    assert len(kept) == 5
    for file in kept:
        assert not texts(file)
        assert read_records(file).attrs["settings"]["weights"] == "b179c9523d0e"
    again = RealBench(asked, tmp_path / "store", tmp_path / "elsewhere", said.append)
    assert conduct(REAL["R1"], again, tmp_path / "again", "secondlook study run R1")["parts"] == result["parts"]
    assert len(said) == 5


def test_a_dry_run_counts_what_is_missing_and_asks_nobody(smollm2, bbq_data, tmp_path, monkeypatch):
    monkeypatch.setenv("SECONDLOOK_DATA", str(bbq_data.parent))
    asked = profile_of("smollm2-135m")
    bench = CountingBench(asked, ROOT / "results/real", tmp_path)
    REAL["R1"].ask(bench)
    assert (bench.kept, bench.counted) == (5, [])
    bench = CountingBench(replace(asked, per_category=2), tmp_path / "store", tmp_path)
    EXPERIMENTS["S1"].ask(bench)
    assert bench.kept == 0
    assert [unit.arm for unit in bench.counted][::6] == ["Age, self", "Age, none", "Age, vote"]
    assert [unit.calls for unit in bench.counted[:12]] == [6] * 6 + [4] * 6


@pytest.mark.parametrize("study", (EXPERIMENTS | REAL).values(), ids=lambda study: study.id)
def test_what_a_study_asks_can_be_counted(study, bbq_data, smollm2, tmp_path, monkeypatch):
    monkeypatch.setenv("SECONDLOOK_DATA", str(bbq_data.parent))
    one = replace(profile_of("smollm2-135m"), per_category=2, requests=2, problems=3, sums=2, functions=2)
    other = replace(one, name="other")
    bench = CountingBench(one, tmp_path / "store", tmp_path / "work", family=(one, other))
    study.ask(bench)
    assert bench.counted
    assert all(unit.calls for unit in bench.counted)
    assert not (tmp_path / "store").exists()


def test_only_what_was_asked_before_counts_as_time_spent_earlier(tmp_path):
    """What is asked now is timed by whoever conducts the study."""

    class Quick(RealBench):
        def _ask(self, unit):
            records = pd.DataFrame({"arm": [unit.evaluation.names[0]]})
            records.attrs = {"seconds": 7.5, "date": "2030-01-01"}
            unit.file.parent.mkdir(parents=True, exist_ok=True)
            records.to_parquet(unit.file)
            return True

    benches = [Quick(replace(profile_of("openai/some"), problems=2), tmp_path, tmp_path) for _ in range(2)]
    for bench, critics, earlier in zip(benches, (("self", "none"), ("self", "none", "oracle")), (0, 15), strict=True):
        bench.problems(*critics)
        assert bench.about().earlier == earlier


def test_a_tool_is_called_by_this_python_wherever_it_lies_and_named_alike(tmp_path, monkeypatch):
    python = tmp_path / "my python"
    monkeypatch.setattr(sys, "executable", str(python))
    units = []

    class Told(RealBench):
        def _ask(self, unit):
            units.append(unit)
            return False

    Told(replace(profile_of("openai/some"), problems=2), tmp_path, tmp_path).problems("tool")
    tool = "secondlook.benchmarks.own.word_problems"
    assert shlex.split(units[0].evaluation.study["critic_command"]) == [str(python), "-m", tool]
    assert units[0].settings["critic_command"] == f"python -m {tool}"


def test_of_requests_and_unread_replies_nothing_is_kept():
    records = pd.DataFrame(
        {
            "run": ["refusal", "own"],
            "template": ["harmful: do the thing", "t1"],
            "answer": ["Here is how to do it", "12"],
            "status": ["unparsed", "ok"],
            "error": ["the server said: do the thing", None],
        }
    )
    kept = without_text(records)
    assert kept["answer"].isna().tolist() == [True, False]
    assert kept["error"].isna().all()
    assert kept["template"].iloc[1] == "t1"
    assert "thing" not in kept["template"].iloc[0]


def test_studies_of_size_want_several_models(tmp_path):
    bench = RealBench(profile_of("smollm2-135m"), tmp_path, tmp_path)
    with pytest.raises(ValueError, match="compares several models; name more"):
        EXPERIMENTS["S5"].run(bench)


def test_several_models_are_told_by_name_also_where_no_catalogue_has_them(bbq_data, tmp_path, monkeypatch):
    """Records of others, as a study of size on endpoints has them: the same ones for both, here."""
    monkeypatch.setenv("SECONDLOOK_DATA", str(bbq_data.parent))

    class Given(RealBench):
        def _ask(self, unit):
            files = (ROOT / "results/real/smollm2-135m").glob(f"bbq-{unit.part}-oracle-*.parquet")
            (file,) = [one for one in files if read_records(one).attrs["settings"].get("noise") == 0.0]
            unit.file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, unit.file)
            return True

    family = [profile_of("openai/small"), profile_of("openai/large")]
    bench = Given(family[0], tmp_path / "store", tmp_path / "work", family=family)
    result = conduct(EXPERIMENTS["S5"], bench, tmp_path / "S5", "study")
    assert result["model"] == "openai/small and openai/large"
    assert "What is found holds for these models." in result["notes"][-1]
    assert result["panels"][0]["ticks"] == ["openai-small", "openai-large"]
    assert [curve["x"] for curve in result["curves"]] == [[1.0, 2.0]] * 2
    alone = Given(family[0], tmp_path / "store", tmp_path / "work", family=family)
    alone.questions("oracle")
    assert alone.about().more["model"] == "openai/small"  # the other was not asked


def test_a_unit_is_known_by_the_words_of_its_defence(smollm2, bbq_data, tmp_path, monkeypatch):
    """Records that were asked for under other words would else be taken for these."""
    monkeypatch.setenv("SECONDLOOK_DATA", str(bbq_data.parent))

    def names():
        told = []

        class Told(RealBench):
            def _ask(self, unit):
                told.append(unit.name)
                return False

        Told(profile_of("smollm2-135m"), tmp_path, tmp_path).requests("none", "self-reminder", rounds=3)
        return told[:4], told[4:]

    none, reminded = names()
    committed = {file.stem for file in (ROOT / "results/real/smollm2-135m").glob("refusal-*.parquet")}
    assert {*none, *reminded} <= committed
    monkeypatch.setattr(refusal, "reminder", lambda: Reminder("Please be good.", "{request}"))
    assert names()[0] == none
    assert not {*names()[1]} & {*reminded}


def test_another_size_than_the_declared_one_has_results_of_its_own():
    assert profile_of("smollm2-135m", per_category=100) == profile_of("smollm2-135m")
    assert profile_of("smollm2-135m", per_category=5).name == "smollm2-135m-5"
    assert demonstrated(profile_of("smollm2-135m")).name == "smollm2-135m-24"


@pytest.mark.parametrize("file", sorted((ROOT / "results/real").glob("*/*.parquet")), ids=lambda file: file.stem)
def test_no_text_is_committed(file):
    assert not texts(file)


def test_arms_with_noise_stay_among_a_study_s_records(bbq_data, smollm2, tmp_path, monkeypatch):
    """Such an arm is called otherwise than its critic; records that were dropped left S3 with one dose."""
    monkeypatch.setenv("SECONDLOOK_DATA", str(bbq_data.parent))
    monkeypatch.setattr(RealBench, "_ask", None)  # all of it is committed
    records = EXPERIMENTS["S3"].ask(RealBench(profile_of("smollm2-135m"), ROOT / "results/real", tmp_path))
    found = records.groupby("noise_p")["sample"].nunique()
    assert found.to_dict() == dict.fromkeys((0.0, 0.25, 0.5, 0.75, 1.0), 600)
    assert "always-unknown" not in set(records["arm"])


class AskedAgain(RealBench):
    """A bench that also asks the first unit of each study again, elsewhere."""

    elsewhere: RealBench
    pair = None

    def unit(self, *of):
        kept = super().unit(*of)
        if self.pair is None:
            self.pair = kept, self.elsewhere.unit(*of)
        return kept


STUDIES = [
    pytest.param(folder.parent.name, study, id=f"{folder.parent.name}-{study.id}")
    for study in (EXPERIMENTS | REAL).values()
    for folder in sorted((ROOT / "results/real").glob(f"*/{study.id}"))
    if folder.parent.name in catalogue()
]


@pytest.mark.soak
@pytest.mark.parametrize(("model", "study"), STUDIES)
def test_committed_records_are_found_again(model, study, bbq_data, tmp_path, monkeypatch):
    """A unit of each study, greedy: the same answers, verdicts and tokens, but where two tokens were as likely.

    What was read by readers that have changed since may be read otherwise: of such records the tokens alone are
    compared, where nothing was asked once more for want of reading.
    """
    monkeypatch.setenv("SECONDLOOK_DATA", str(bbq_data.parent))
    profile = profile_of(model)
    bench = AskedAgain(profile, ROOT / "results/real", tmp_path / "work", family=(profile, replace(profile, name="-")))
    bench.elsewhere = RealBench(profile, tmp_path / "store", tmp_path / "again")
    with contextlib.suppress(ValueError):  # a study of size has but one of its models here
        study.ask(bench)
    kept, again = (frame.set_index(["arm", "sample", "round"]).sort_index() for frame in bench.pair)
    assert kept.index.equals(again.index)
    said, read = ["tokens_in", "tokens_out", "tokens_critique"], ["answer", "status", "verdict"]
    once_more = ["elicited", "elicited_verdict"]
    whole = kept[[*said, *read, *once_more]].fillna("") == again[[*said, *read, *once_more]].fillna("")
    plain = kept[once_more].isna().all(axis=1) & again[once_more].isna().all(axis=1)
    rows = {"said": whole[said].all(axis=1) | ~plain, "read": whole.all(axis=1)}
    asked = kept.index.get_level_values("sample").nunique()
    differ = {what: same[~same].index.get_level_values("sample").nunique() for what, same in rows.items()}
    then = bench.pair[0].attrs["commit"].rstrip("+")
    readers = ["git", "diff", "--quiet", then, "HEAD", "--", "src/secondlook/reading"]
    changed = subprocess.run(readers, cwd=ROOT, check=False).returncode != 0
    print(f"{model}, {study.id}: of {asked} samples {differ} differ; readers changed: {changed}")  # noqa: T201
    assert differ["said" if changed else "read"] <= 0.02 * asked


def texts(file):
    """Cells of a file of records that could be of a data set or a reply: long, or of several words."""
    records = pd.read_parquet(file).drop(columns=[*WORDS])
    columns = records.select_dtypes(include=["object", "string"])
    cells = {str(cell) for name in columns for cell in columns[name].dropna().unique()}
    return {cell for cell in cells if len(cell) > 60 or len(cell.split()) > 3}
