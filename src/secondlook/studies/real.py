"""The bench of a real model: the same studies on published data, a unit at a time, with records that may be shown."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from secondlook.benchmarks.bbq.load import data_folder
from secondlook.benchmarks.own import unit_tests, word_problems
from secondlook.benchmarks.own.unit_tests import write_human_eval
from secondlook.benchmarks.own.word_problems import write_word_problems
from secondlook.evaluation.asking import Endpoint, RunError
from secondlook.evaluation.evaluate import run_evaluation
from secondlook.evaluation.evaluation import Evaluation, file_name
from secondlook.evaluation.fast import run_arms
from secondlook.evaluation.study import UNKNOWN
from secondlook.evidence.experiment import About
from secondlook.evidence.result import provenance
from secondlook.local.model import checkpoint, revision
from secondlook.local.weights import catalogue, sha256
from secondlook.machine import whole
from secondlook.studies.bench import TYPES, Bench
from secondlook.studies.published import grade_school_questions, published, safe_prompts

CATEGORIES = ("Age", "Disability_status", "Nationality", "Physical_appearance", "Religion", "Sexual_orientation")
"""Categories of BBQ that are asked, each in its ambiguous and its disambiguated contexts."""
ATTACKS = ("GCG_vicuna-13b-v1.5", "PAIR_vicuna-13b-v1.5", "JBC_vicuna-13b-v1.5")
"""Stored attacks of JailbreakBench that are replayed."""
VOTES = 4
"""Answers to a word problem that vote at most: more than a check and a second answer pay for."""
# Options that name files: a place decides nothing, and what is in the files is hashed (`_settings`).
_PLACES = ("data", "behaviours", "benign", "attacks")
_LOCAL = "secondlook/"
_SENTENCE = 40
"""Tokens that a reply of one short sentence may have."""
_WORKED = 320
"""Tokens that an answer with its working, or a critique of it, may have."""
_SHOWN = 24
"""Word problems of a demonstration: what two cores do in a minute and a half."""


@dataclass(frozen=True)
class RealProfile:
    """A real model and how much it is asked.

    Attributes:
        name: What results call it; a folder of that name keeps its records.
        model: Inspect's name of it.
        per_category: Questions of each of BBQ's categories.
        requests: Requests of each file of attacks, and safe ones.
        problems: Word problems of our own making.
        sums: Questions of GSM8K.
        functions: Problems of HumanEval; by default all 164.
        tokens: Tokens a reply may have.
        rounds: Second looks of a study of rounds.
        base_url: Address of its server, if it has one.
    """

    name: str
    model: str
    per_category: int
    requests: int
    problems: int = 240
    sums: int = 200
    functions: int | None = None
    tokens: int = 160
    rounds: int = 3
    base_url: str | None = None


SIZES: Mapping[str, tuple[int, int, int, int | None]] = {
    "smollm2-135m": (100, 100, 200, None),
    "qwen2.5-coder-1.5b": (40, 30, 60, 60),
}
"""Questions of each category, requests of each file, questions of GSM8K and problems of HumanEval, by model.

Declared in docs/real-models.md.
"""


def profile_of(model: str, base_url: str | None = None, per_category: int | None = None) -> RealProfile:
    """Profile of a model: as the protocol declares it for a model of the catalogue, else as large as the smallest's.

    With another number of questions a category its name says so: its results lie beside those of the declared size.
    """
    asked = model if "/" in model else _LOCAL + model
    known = asked.removeprefix(_LOCAL)
    questions, requests, sums, functions = SIZES.get(known, SIZES["smollm2-135m"])
    name, other = file_name(known), per_category not in (None, questions)
    return RealProfile(
        f"{name}-{per_category}" if other else name,
        asked,
        per_category or questions,
        requests,
        sums=sums,
        functions=functions,
        base_url=base_url,
    )


def demonstrated(profile: RealProfile) -> RealProfile:
    """The same model, asked as few word problems as a demonstration has time for."""
    return replace(profile, name=f"{profile.name}-{_SHOWN}", problems=_SHOWN)


@dataclass(frozen=True)
class StudyUnit:
    """Unit of work: what is asked at once, and where its records go.

    Attributes:
        profile: Who is asked.
        evaluation: What.
        part: The category or the file.
        name: Name made of all that the records depend on.
        file: Keeps the records.
        settings: What the records depend on; kept with them.
    """

    profile: RealProfile
    evaluation: Evaluation
    part: str
    name: str
    file: Path
    settings: Mapping[str, Any]


class RealBench(Bench):
    """Bench of a real model.

    A unit is one arm on one category or one file: what is stopped loses no more. Its records are kept without any
    text of the data or of a reply, so that they can be committed; a later call takes them from there.

    Args:
        profile: The model and how much it is asked.
        store: Keeps the records, in a folder for each model.
        folder: Where runs are kept while they are going on.
        tick: Called with a sentence for each evaluation that is about to be run.
        family: Models that a study of size compares, the smallest first.
    """

    other = ""
    defences = ("none", "self-reminder", "icd", "again", "self")
    of_family = "Models of different families differ in more than size."
    of_requests = "Stored attacks and XSTest's safe prompts; a judge reads the replies, of which nothing is kept."

    def __init__(
        self,
        profile: RealProfile,
        store: Path,
        folder: Path,
        tick: Callable[[str], None] = lambda _: None,
        family: Sequence[RealProfile] = (),
    ) -> None:
        super().__init__(folder, tick)
        self.profile, self.store = profile, store
        self.rounds = profile.rounds
        # The bench's own subject: it writes critiques in every format.
        self.writer = ""
        self._family = {member.name: member for member in family or (profile,)}
        self.family = tuple(self._family)
        self._asked: dict[str, str] = {}  # dates, by the model's name
        # A gigabyte is hashed once, not for every unit.
        self._weights = cache(lambda name: revision(checkpoint(name)))

    def about(self) -> About:
        """Facts about the bench: which models were asked, when, and that they are not planted."""
        asked = [one for name, one in self._family.items() if name in self._asked] or [self.profile]
        known = [catalogue().get(one.model.removeprefix(_LOCAL)) for one in asked]
        called = [f"{it.title}, {it.quantisation}" if it else one.model for one, it in zip(asked, known, strict=True)]
        model, which = " and ".join(called), "this model" if len(asked) == 1 else "these models"
        date = max(self._asked.values(), default="no date")
        note = f"Asked: {model}; {date}. What is found holds for {which}."
        more = {
            "planted": False,
            "model": model,
            "sha256": ", ".join(it.sha256 for it in known if it) or None,
            "date": date,
        }
        settings = asdict(asked[0]) if len(asked) == 1 else {one.name: asdict(one) for one in asked}
        return About(self.profile.name, settings, (note,), more=more, earlier=self.saved)

    def millions(self, subject: str) -> float | None:
        """Millions of parameters, where the catalogue has them."""
        known = catalogue().get(self._family[subject].model.removeprefix(_LOCAL))
        return known.millions if known else None

    def questions(self, *critics: str, subject: str = "", **study: Any) -> pd.DataFrame:
        """Records of BBQ's questions."""
        profile = self._family.get(subject, self.profile)
        data = data_folder()
        units = []
        for number, critic in enumerate(name for name in critics if name != UNKNOWN):
            # The control that asks nobody stands beside the first arm, whose questions it answers: also where nobody
            # wants it, so that studies which ask the same share a unit.
            arms = (critic,) if number else (critic, UNKNOWN)
            for category in CATEGORIES:
                questions = {"data": str(data), "category": (category,), "per_category": profile.per_category}
                evaluation = Evaluation(
                    benchmark="bbq",
                    endpoint=self._endpoint(profile),
                    arms=arms,
                    study=study,
                    questions=questions,
                )
                units.append(self.unit(profile, evaluation, category, [data / f"{category}.jsonl"]))
        records = pd.concat(units, ignore_index=True)
        # Not by the critics' names: of a critic with noise the arm has another. `CountingBench` has no columns.
        return records if UNKNOWN in critics or not len(records) else records[records["arm"] != UNKNOWN]

    def problems(self, *critics: str, **study: Any) -> pd.DataFrame:
        """Records of short word problems of our own making."""
        file = write_word_problems(self.folder / "word-problems.jsonl", self.profile.problems)
        short = replace(self.profile, tokens=_SENTENCE)
        return self._own(short, file, critics, study, tool=word_problems.__name__)

    def grade_school(self, *critics: str, **study: Any) -> pd.DataFrame:
        """Records of GSM8K's test questions."""
        file = grade_school_questions(data_folder().parent / "gsm8k/test.jsonl", self.folder, self.profile.sums)
        return self._own(replace(self.profile, tokens=_WORKED), file, critics, study)

    def functions(self, *critics: str, **study: Any) -> pd.DataFrame:
        """Records of HumanEval's functions; what a model writes is run in a sandbox."""
        file = write_human_eval(self.folder / "human-eval.jsonl", self.profile.functions)
        grader = f"{unit_tests.__name__}:{unit_tests.grade.__name__}"
        written = replace(self.profile, tokens=_WORKED)
        return self._own(written, file, critics, study, grader=grader, tool=unit_tests.__name__)

    def _own(
        self,
        profile: RealProfile,
        file: Path,
        critics: Sequence[str],
        study: Mapping[str, Any],
        *,
        grader: str = "number",
        tool: str = "",
    ) -> pd.DataFrame:
        units = []
        command = shlex.join([sys.executable, "-m", tool])
        of_arm: dict[str, dict[str, Any]] = {"tool": {"critic_command": command}, "vote": {"votes": VOTES}}
        for critic in critics:
            evaluation = Evaluation(
                benchmark="own",
                endpoint=self._endpoint(profile),
                arms=(critic,),
                study={**study, **of_arm.get(critic, {})},
                questions={"data": str(file), "grader": grader},
            )
            units.append(self.unit(profile, evaluation, file.stem, [file]))
        return pd.concat(units, ignore_index=True)

    def requests(self, *defences: str, **study: Any) -> pd.DataFrame:
        """Records of stored attacks and of safe prompts that look unsafe."""
        data = data_folder().parent
        safe = safe_prompts(data / "xstest/xstest_prompts.csv", self.folder)
        files = {name: ("attacks", data / f"jailbreakbench/{name}.json") for name in ATTACKS}
        files["xstest"] = ("benign", safe)
        units = []
        for defence in defences:
            for name, (option, file) in files.items():
                given: dict[str, Any] = {option: (str(file),) if option == "attacks" else str(file)}
                evaluation = Evaluation(
                    benchmark="refusal",
                    endpoint=self._endpoint(self.profile),
                    arms=(defence,),
                    study=study,
                    questions={**given, "limit": self.profile.requests},
                )
                units.append(self.unit(self.profile, evaluation, name, [file]))
        return pd.concat(units, ignore_index=True)

    def _endpoint(self, profile: RealProfile) -> Endpoint:
        return Endpoint(model=profile.model, base_url=profile.base_url, max_tokens=profile.tokens)

    def unit(self, profile: RealProfile, evaluation: Evaluation, part: str, files: Sequence[Path]) -> pd.DataFrame:
        """Records of one unit: from the store, or asked for and put there.

        Raises:
            FileNotFoundError: Published data that are asked about are not there.
            RunError: Calls failed; the unit is kept once they were asked again.
        """
        for file in files:
            published(file)
        arm, settings = evaluation.names[0], self._settings(profile, evaluation, files)
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
        name = f"{evaluation.benchmark}-{part}-{arm}-{digest}"
        file = self.store / profile.name / f"{name}.parquet"
        kept = file.is_file()
        if not kept and not self._ask(StudyUnit(profile, evaluation, part, name, file, settings)):
            return pd.DataFrame()
        records = read_records(file)
        if kept:  # what is asked now, `conduct` times itself
            self.saved += records.attrs["seconds"] or 0.0
        self._asked[profile.name] = max(self._asked.get(profile.name, ""), records.attrs["date"])
        return records

    def _settings(self, profile: RealProfile, evaluation: Evaluation, files: Sequence[Path]) -> dict[str, Any]:
        """All that a unit's records depend on."""
        local, arm = profile.model.startswith(_LOCAL), evaluation.names[0]
        settings = dict(evaluation.settings)
        settings["questions"] = {name: value for name, value in settings["questions"].items() if name not in _PLACES}
        settings |= {
            "arms": [*evaluation.arms],
            "prompt": evaluation.study_of(arm).file.version,
            "weights": self._weights(profile.model.removeprefix(_LOCAL)) if local else "",
            # Files that the bench writes, too: written otherwise, committed records would not be found again.
            "files": {file.name: sha256(file) for file in files},
            **evaluation.settings_by_arm[arm],
        }
        if words := evaluation.words_of(arm):
            settings["words"] = words
        # The same model at another address gives the same records.
        settings.pop("base_url")
        if command := settings.get("critic_command"):  # the same tool, wherever Python is
            settings["critic_command"] = command.replace(shlex.quote(sys.executable), "python")
        return settings

    def _ask(self, unit: StudyUnit) -> bool:
        """Ask for a unit's records and put them into the store; whether they are there."""
        self.tick(f"{unit.profile.name}: {unit.part}, {unit.evaluation.names[0]}")
        begun = time.perf_counter()
        local = unit.profile.model.startswith(_LOCAL)
        out = self.folder / unit.profile.name / unit.name
        resumed = out.exists()  # by a call whose time nobody knows
        failed = out / "failed"  # a mark: calls of this unit failed before, and were told of
        # The fast path needs the weights; any other model is asked through Inspect.
        report = run_evaluation(unit.evaluation, out, quiet=True, arms=run_arms if local else None)
        # What is in the store is never asked again, so what failed is asked once more first. What fails then, too, as a
        # prompt that is too long, is left out of every number.
        if report.lost is not None and not failed.exists():
            failed.touch()
            raise RunError(f"{unit.name} is not kept: {report.lost} What fails again is left out.")
        records = without_text(pd.read_csv(out / "records.csv", dtype=TYPES))
        found = provenance()
        records.attrs = {
            "settings": unit.settings,
            "seconds": None if resumed else round(time.perf_counter() - begun, 1),
            "date": datetime.now(UTC).date().isoformat(),
            "commit": found["commit"],
            "versions": found["versions"],
        }
        with whole(unit.file) as kept:
            records.to_parquet(kept, compression="zstd", index=False)
        return True


def read_records(file: Path) -> pd.DataFrame:
    """Records of a unit as a table that can be diagnosed; ``attrs`` say how they came about."""
    # pandas keeps `attrs` in the metadata of a parquet file.
    return pd.read_parquet(file)


def without_text(records: pd.DataFrame) -> pd.DataFrame:
    """Records without what a data set or a reply says: names of requests become numbers, unread replies nothing."""
    template = records["template"].map(lambda text: hashlib.sha256(str(text).encode()).hexdigest()[:8])
    return records.assign(
        template=template.where(records["run"] == "refusal", records["template"]),
        answer=records["answer"].where(records["status"] == "ok"),
        error=None,
    )
