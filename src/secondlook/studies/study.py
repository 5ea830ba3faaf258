"""What every study is made of: evaluations of planted subjects on the fast path, kept on disk."""

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
from secondlook.evaluation.evaluate import Evaluation, run_evaluation
from secondlook.evaluation.fast import run_arms
from secondlook.evidence.experiment import About
from secondlook.local.model import checkpoint_folder
from secondlook.prompts.prompt import load_prompt, prompt_names
from secondlook.studies.profile import StudyProfile

_SHOWN = 3
_PLAIN: Mapping[str, Any] = {"confidence": False}  # no study asks how sure a subject was
_REPLY = 48  # tokens; a planted subject's longest reply is shorter


class Bench:
    """What a study works with: a profile, and records on disk; what was asked is not asked again.

    Args:
        profile: Subjects and sizes.
        folder: Where runs are kept.
        tick: Called with a sentence for each evaluation that is about to be run.

    Attributes:
        saved: Seconds that the evaluations used so far had taken earlier.
    """

    def __init__(self, profile: StudyProfile, folder: Path, tick: Callable[[str], None] = lambda _: None) -> None:
        self.profile, self.folder, self.tick = profile, folder, tick
        self.saved = 0.0

    def about(self) -> About:
        """What a result says of this bench."""
        note = "A planted subject was asked: the instrument is tested, no real model is."
        more = {"planted": True}
        return About(self.profile.name, asdict(self.profile), (note,), more=more, earlier=self.saved)

    def planted(
        self,
        *critics: str,
        subject: str | None = None,
        schedule: str | None = None,
        temperature: float = 0.0,
        seed: int = 0,
        **study: Any,
    ) -> pd.DataFrame:
        """Records of questions in the planted language.

        Args:
            *critics: The arms.
            subject: By default the profile's.
            schedule: Noise words ``fresh`` (default), ``fixed`` or ``none``.
            temperature: 0 decodes greedily.
            seed: Of the questions, the noise words and the replies.
            **study: Fields of :class:`~secondlook.evaluation.study.Study`.
        """
        questions = {"per_category": self.profile.per_category, "schedule": schedule}
        evaluation = Evaluation(
            benchmark="planted",
            endpoint=_endpoint(subject or self.profile.subject, temperature),
            arms=critics,
            study={**_PLAIN, **study},
            questions=questions,
            seed=seed,
        )
        return self.records(evaluation)

    def requests(self, *defences: str, **study: Any) -> pd.DataFrame:
        """Records of requests in the planted refusal language, as they are and behind its triggers.

        Args:
            *defences: The arms.
            **study: Fields of :class:`~secondlook.evaluation.study.Study`.
        """
        data = self.folder / f"requests-{self.profile.requests}"
        files = {file.stem: str(file) for file in write_refusal_files(data, self.profile.requests, seed=0)}
        harmful, benign = files.pop("harmful-behaviors"), files.pop("benign-behaviors")
        evaluation = Evaluation(
            benchmark="refusal",
            endpoint=_endpoint(self.profile.speaker, 0.0),
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
        types = {"sample": str, "template": str, "group": str, "answer": str}
        return pd.read_csv(file, dtype=types)


def _endpoint(subject: str, temperature: float) -> Endpoint:
    return Endpoint(model=f"secondlook/{subject}", temperature=temperature, max_tokens=_REPLY)


def _digest(evaluation: Evaluation) -> str:
    """Weights and words: with others, records on disk are of another study."""
    digest = hashlib.sha256()
    weights = checkpoint_folder(evaluation.endpoint.model.removeprefix("secondlook/"))
    for file in sorted(weights.glob("*.safetensors")):
        digest.update(file.read_bytes())
    for name in prompt_names():
        digest.update(load_prompt(name).version.encode())
    return digest.hexdigest()[:8]
