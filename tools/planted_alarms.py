"""Run the planted studies of a profile, and keep where each of their arms lies on the plane of verdict_plane.py."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
from verdict_plane import KEPT, ROOT, Point, arms

from secondlook.evaluation.evaluation import Evaluation
from secondlook.studies.experiments import EXPERIMENTS
from secondlook.studies.planted import PlantedBench
from secondlook.studies.profile import find


class Watched(PlantedBench):
    """A bench that notes, of every arm that its studies ask, where it lies."""

    study = ""

    def __init__(self, profile: str, folder: Path) -> None:
        super().__init__(find(profile), folder, lambda what: sys.stderr.write(f"{what}\n"))
        self.found: dict[str, Point] = {}

    def records(self, evaluation: Evaluation) -> pd.DataFrame:
        """Records of an evaluation."""
        frame = super().records(evaluation)
        subject = evaluation.endpoint.model.removeprefix("secondlook/")
        told = [
            f"{key} {value}" for key, value in sorted(evaluation.study.items()) if key not in ("confidence", "rounds")
        ]
        for name, one in arms(frame, f"{self.study}, {subject}", *told).items():
            # Several studies ask the same; the first of them names it.
            if all(replace(one, name="") != replace(other, name="") for other in self.found.values()):
                self.found[name] = one
        return frame


def gather(profile: str, folder: Path) -> None:
    """Run every planted study, and keep the points."""
    bench = Watched(profile, folder)
    for bench.study, experiment in EXPERIMENTS.items():
        experiment.run(bench)
    told = [asdict(one) for one in bench.found.values()]
    KEPT.write_text(json.dumps(told, indent=1, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    gather(sys.argv[1] if len(sys.argv) > 1 else "quick", ROOT / "runs" / "planted")
