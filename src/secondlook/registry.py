"""Registry that Inspect finds through its entry point: our tasks, solver, scorer and model provider."""

from inspect_ai.model import ModelAPI, modelapi

from secondlook.evaluation.judging import judged_by_model
from secondlook.evaluation.scorer import first_and_last
from secondlook.evaluation.solver import second_look
from secondlook.evaluation.task import task_of

__all__ = ["bbq", "first_and_last", "judged_by_model", "own", "planted", "refusal", "second_look", "secondlook"]

bbq, planted, refusal, own = map(task_of, ("bbq", "planted", "refusal", "own"))


@modelapi(name="secondlook")
def secondlook() -> type[ModelAPI]:
    """Local checkpoints; torch and transformers are imported only when one is asked for."""
    from secondlook.local.provider import LocalProvider

    return LocalProvider
