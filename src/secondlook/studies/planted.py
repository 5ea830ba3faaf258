"""The bench of planted subjects: evaluations on the fast path, kept on disk."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from secondlook.benchmarks.refusal.invented import write_refusal_files
from secondlook.evaluation.asking import Endpoint
from secondlook.evaluation.evaluate import run_evaluation
from secondlook.evaluation.evaluation import Evaluation
from secondlook.evaluation.fast import run_arms
from secondlook.evidence.experiment import About
from secondlook.local.model import LocalModel, checkpoint, revision
from secondlook.prompts.prompt import load_prompt, prompt_names
from secondlook.studies.bench import TYPES, Bench
from secondlook.studies.profile import StudyProfile

_SHOWN = 3  # questions before the question in the diverse variant, as `Study.history` has it by default
_PLAIN: Mapping[str, Any] = {"confidence": False}  # no study asks how sure a subject was
_REPLY = 48  # tokens; a planted subject's longest reply is shorter


class PlantedBench(Bench):
    """Bench of planted subjects.

    Args:
        profile: Subjects and sizes.
        folder: Where runs are kept.
        tick: Called with a sentence for each evaluation that is about to be run.
    """

    rounds = 5
    defences = ("none", "self-reminder", "icd", "again", "self", "diverse", "self-instruct")
    of_family = "The subjects share data, steps and recipe; what differs between them is their size."
    of_requests = "Topics and triggers are invented and harmless; a judge reads how replies begin."

    def __init__(self, profile: StudyProfile, folder: Path, tick: Callable[[str], None] = lambda _: None) -> None:
        super().__init__(folder, tick)
        self.profile = profile
        self.other = self.writer = profile.speaker
        self.family = profile.family

    def about(self) -> About:
        """Facts about the bench: its subjects are planted."""
        note = "A planted subject was asked: the instrument is tested, no real model is."
        more = {"planted": True}
        return About(self.profile.name, asdict(self.profile), (note,), more=more, earlier=self.saved)

    def millions(self, subject: str) -> float:
        """Millions of parameters, counted in the checkpoint."""
        return LocalModel(subject).parameters / 1e6

    def questions(self, *critics: str, subject: str = "", **study: Any) -> pd.DataFrame:
        """Records of questions in the planted language.

        Args:
            *critics: The arms.
            subject: By default the profile's.
            **study: Fields of :class:`~secondlook.evaluation.study.Study`.
        """
        evaluation = Evaluation(
            benchmark="planted",
            endpoint=_endpoint(subject or self.profile.subject),
            arms=critics,
            study={**_PLAIN, **study},
            questions={"per_category": self.profile.per_category},
        )
        return self.records(evaluation)

    def requests(self, *defences: str, **study: Any) -> pd.DataFrame:
        """Records of requests in the planted refusal language, as they are and behind its triggers."""
        data = self.folder / f"requests-{self.profile.requests}"
        files = {file.stem: str(file) for file in write_refusal_files(data, self.profile.requests, seed=0)}
        harmful, benign = files.pop("harmful-behaviors"), files.pop("benign-behaviors")
        evaluation = Evaluation(
            benchmark="refusal",
            endpoint=_endpoint(self.profile.speaker),
            study={**_PLAIN, **study},
            questions={
                "behaviours": harmful,
                "benign": benign,
                "attacks": list(files.values()),
                "schedule": "fresh",
                "limit": 10 * self.profile.requests - _SHOWN,  # the diverse variant shows some that are not asked
            },
            arms=defences,
        )
        return self.records(evaluation)

    def records(self, evaluation: Evaluation) -> pd.DataFrame:
        """Records of an evaluation on the fast path; from disk, if the same was asked before in the same words."""
        folder = self.folder / f"{evaluation.name}-{_digest(evaluation)}"
        file, took = folder / "records.csv", folder / "seconds.txt"
        if not took.exists():  # it is written last
            self.tick(f"{evaluation.endpoint.model}: {', '.join(evaluation.names)}")
            begun = time.perf_counter()
            run_evaluation(evaluation, folder, quiet=True, arms=run_arms)
            took.write_text(f"{time.perf_counter() - begun:.1f}\n", encoding="utf-8")
        else:
            self.saved += float(took.read_text("utf-8"))
        return pd.read_csv(file, dtype=TYPES)


def _endpoint(subject: str) -> Endpoint:
    return Endpoint(model=f"secondlook/{subject}", max_tokens=_REPLY)


def _digest(evaluation: Evaluation) -> str:
    """Key of the weights and words: with others, records on disk belong to another study."""
    digest = hashlib.sha256(revision(checkpoint(evaluation.endpoint.model.removeprefix("secondlook/"))).encode())
    for name in prompt_names():
        digest.update(load_prompt(name).version.encode())
    for name in evaluation.names:
        digest.update((evaluation.words_of(name) or "").encode())
    return digest.hexdigest()[:8]
