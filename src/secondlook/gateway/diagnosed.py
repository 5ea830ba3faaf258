"""A diagnosis and how it is served: what was diagnosed is what is served, or the gateway does not start."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from secondlook.correction.elicit import ElicitMode
from secondlook.correction.transcript import StopRule, Variant
from secondlook.diagnosis.examiner import Examiner
from secondlook.diagnosis.form import Diagnosis, from_json
from secondlook.gateway.examining import diagnosed_examiner
from secondlook.gateway.settings import CRITIC_TOKENS, ELICIT, PROMPT, GatewaySettings
from secondlook.prompts.prompt import Prompt, load_prompt


@dataclass(frozen=True, slots=True)
class ServedSettings:
    """A diagnosis, and what of its run is served.

    Attributes:
        diagnosis: What was found.
        variant: How the question is put again.
        prompt: The words of check and requests.
        stop: Whether second looks end once the critic is satisfied.
        critic: Who examines.
        critic_tokens: Tokens that a critique may have.
        elicit: Whether the critic is asked once more where no verdict can be read.
    """

    diagnosis: Diagnosis
    variant: Variant
    prompt: Prompt
    stop: StopRule
    critic: Examiner
    critic_tokens: int
    elicit: ElicitMode

    def fits(self, model: str) -> bool:
        """Whether clients ask for the diagnosed model; a diagnosis names the provider too."""
        name = self.diagnosis.model
        return name is not None and (name == model or name.endswith(f"/{model}"))


def serve_diagnosis(path: Path, settings: GatewaySettings) -> ServedSettings:
    """Read a diagnosis, and what its run was made with.

    An older diagnosis does not say its stop rule and limit of tokens: they are read from the run's own ``run.json``
    where that lies beside it.

    Raises:
        ValueError: It cannot be read, or settings say otherwise.
    """
    where = f"diagnosis {str(path)!r}"
    try:
        text = path.read_bytes()
        diagnosis = from_json(text)
    except OSError as error:
        raise ValueError(
            f"{where} cannot be read ({error.strerror}); give the diagnosis.json of a run, or make one with: "
            "secondlook diagnose RUN --out diagnosis.json"
        ) from None
    except ValueError:
        # What was given may be the records of a run: no command that writes over them is proposed.
        raise ValueError(
            f"{str(path)!r} is no diagnosis; make one with: secondlook diagnose RUN --out diagnosis.json"
        ) from None
    run = _run(path.parent, diagnosis.arm) | {k: v for k, v in json.loads(text).items() if v is not None}
    variant = settings.variant or diagnosis.variant or "self"
    tokens, elicit = run.get("max_tokens"), run.get("elicit")
    if elicit not in (None, *get_args(ElicitMode)):
        raise ValueError(f"{where} is of elicit {elicit!r}; diagnose {', '.join(get_args(ElicitMode))}")
    for what, found, said, remedy in (
        ("variant", diagnosis.variant, settings.variant, "leave the latter out"),
        ("critic_tokens", tokens, settings.critic_tokens, "leave the latter out"),
        ("elicit", elicit, settings.elicit, "leave the latter out"),
    ):
        if found is not None and said is not None and found != said:
            raise ValueError(f"{where} is of {what} {found!r}, settings say {said!r}; {remedy}")
    if variant not in ("self", "self-instruct"):
        raise ValueError(f"{where} is of variant {variant!r}, which is of studies; diagnose 'self' or 'self-instruct'")
    name, _, _ = (diagnosis.prompt or "").partition("@")
    prompt = load_prompt(settings.prompt or name or PROMPT)
    if diagnosis.prompt and prompt.version != diagnosis.prompt:
        raise ValueError(
            f"{where} was made with prompt {diagnosis.prompt}, here it would be {prompt.version}; serve the words that "
            "were diagnosed, or diagnose these"
        )
    stop = run.get("stop", "fixed")
    if stop not in ("fixed", "satisfied"):
        raise ValueError(f"{where} is of stop rule {stop!r}, which is not served; diagnose 'fixed' or 'satisfied'")
    return ServedSettings(
        diagnosis,
        "self-instruct" if variant == "self-instruct" else "self",
        prompt,
        "satisfied" if stop == "satisfied" else "fixed",
        diagnosed_examiner(where, diagnosis.examiner, diagnosis.critic, settings),
        settings.critic_tokens or (tokens if isinstance(tokens, int) else CRITIC_TOKENS),
        settings.elicit or elicit or ELICIT,
    )


def _run(folder: Path, arm: str) -> dict[str, Any]:
    """Settings of an arm of the run in a folder; empty where no run lies there."""
    try:
        kept = json.loads((folder / "run.json").read_text("utf-8"))
        return {**kept["settings"], **kept["arms"].get(arm, {})}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
