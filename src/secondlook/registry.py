"""What Inspect finds through its entry point: our tasks, solver, scorer and model provider."""

from inspect_ai.model import ModelAPI, modelapi

from secondlook.benchmarks.bbq.task import bbq
from secondlook.benchmarks.own.task import own
from secondlook.benchmarks.planted.task import planted
from secondlook.benchmarks.refusal.judge_model import judged_by_model
from secondlook.benchmarks.refusal.task import refusal
from secondlook.evaluation.scorer import first_and_last
from secondlook.evaluation.solver import second_look

__all__ = ["bbq", "first_and_last", "judged_by_model", "own", "planted", "refusal", "second_look", "secondlook"]


@modelapi(name="secondlook")
def secondlook() -> type[ModelAPI]:
    """Local checkpoints; torch and transformers are imported only when one is asked for."""
    from secondlook.local.provider import LocalProvider

    return LocalProvider
