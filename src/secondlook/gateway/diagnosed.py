"""A diagnosis, or a gate, and how it is served: what was diagnosed is what is served, or the gateway does not start."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from secondlook.correction.critics.names import check_fit
from secondlook.correction.elicit import ElicitMode
from secondlook.correction.transcript import StopRule, Variant
from secondlook.diagnosis.columns import KEEPS
from secondlook.diagnosis.examiner import FILE as RUN
from secondlook.diagnosis.examiner import Examiner
from secondlook.diagnosis.form import Diagnosis, from_json
from secondlook.diagnosis.table import denoised
from secondlook.fitting.critic_file import CriticFile, read_critic
from secondlook.fitting.gate_file import GateFile, Made, read_gate
from secondlook.gate import ALWAYS, UNSATISFIED, Gate, Keep
from secondlook.gateway.examining import diagnosed_examiner, with_command
from secondlook.gateway.settings import CRITIC_TOKENS, ELICIT, PROMPT, GatewaySettings
from secondlook.prompts.prompt import Prompt, load_prompt


@dataclass(frozen=True, slots=True)
class ServedSettings:
    """Settings that a diagnosis, a gate or a fitted critic is served with: those of its run.

    Attributes:
        found: The diagnosis, the gate or the fitted critic itself.
        variant: How the question is put again.
        prompt: The words of check and requests.
        stop: Whether second looks end once the critic is satisfied.
        critic: Who examines.
        critic_tokens: Tokens that a critique may have.
        elicit: Whether the critic is asked once more where no verdict can be read.
        decides: When to look and what to keep, of a diagnosis of answers that were not always kept; else ``None``.
    """

    found: Diagnosis | GateFile | CriticFile
    variant: Variant
    prompt: Prompt
    stop: StopRule
    critic: Examiner
    critic_tokens: int
    elicit: ElicitMode
    decides: Gate | None = None

    @property
    def gate(self) -> GateFile | None:
        """The gate, if it is one."""
        return self.found if isinstance(self.found, GateFile) else None

    @property
    def diagnosis(self) -> Diagnosis:
        """The diagnosis; it must be one."""
        assert isinstance(self.found, Diagnosis)
        return self.found

    @property
    def model(self) -> str | None:
        """The model that it is of."""
        return self.found.model if isinstance(self.found, Diagnosis) else self.found.made.model

    def fits(self, model: str) -> bool:
        """Whether clients ask for the diagnosed model; a diagnosis names the provider too."""
        name = self.model
        return name is not None and (name == model or name.endswith(f"/{model}"))


def serve_file(path: Path, settings: GatewaySettings) -> ServedSettings:
    """Read a diagnosis or a gate, and what its run was made with.

    Raises:
        ValueError: It cannot be read, or settings say otherwise.
    """
    if not _is_gate(path):
        return _diagnosis(path, settings)
    where, file = f"gate {str(path)!r}", read_gate(path)
    if file.gate.when in ("p_answer", "agreement"):
        raise ValueError(
            f"{where} goes by {file.gate.when}, which takes answers that are one of several choices, and a gateway's "
            "are open; fit one with --by alarm --by unsatisfied --by p_wrong"
        )
    check_fit(file.gate, file.made.critic)
    return _served(where, file, file.made, settings)


def _is_gate(path: Path) -> bool:
    try:
        return str(json.loads(path.read_bytes())["format"]).startswith("secondlook.gate/")
    # Whatever cannot be read is left to _diagnosis, which says what is wrong with it.
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _diagnosis(path: Path, settings: GatewaySettings) -> ServedSettings:
    """Read a diagnosis.

    An older one does not say its stop rule, limit of tokens and which answers it kept: they are read from the run's own
    ``run.json`` where that lies beside it.
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
    made = Made(
        diagnosis.model,
        diagnosis.critic,
        diagnosis.variant,
        diagnosis.prompt,
        run.get("stop", "fixed"),
        tokens if isinstance(tokens := run.get("max_tokens"), int) else None,
        run.get("elicit"),
        diagnosis.chat_template,
        diagnosis.examiner,
        judge=diagnosis.judge,
        noise=denoised(diagnosis.arm)[1] if diagnosis.noise is None else diagnosis.noise,
    )
    keep = _keep(where, "preferred" if diagnosis.critic == "accept-reject" else run.get("keep", "new"))
    served = _served(where, diagnosis, made, settings)
    if keep == "new":
        return served
    gate = replace(UNSATISFIED if served.stop == "satisfied" else ALWAYS, keep=keep)
    check_fit(gate, diagnosis.critic)
    return replace(served, stop="fixed" if gate.when == "always" else "gate", decides=gate)


def _keep(where: str, said: str) -> Keep:
    """Rule by which an answer was kept after a look; it has to be known."""
    if (keep := next((one for one in KEEPS if one == said), None)) is None:
        raise ValueError(
            f"{where} is of answers some of which were rejected, by a rule that is {said}; give its table a column keep"
        )
    return keep


def serve_critic(path: Path, settings: GatewaySettings) -> ServedSettings:
    """Read a fitted critic, and what its records were made with.

    Raises:
        ValueError: It cannot be read, settings say otherwise, or it reads what a gateway does not know.
    """
    where, file = f"critic {str(path)!r}", _critic(path)
    stop = {"always": "fixed", "flagged": "satisfied"}.get(settings.policy)
    if stop is not None and file.made.stop is not None and file.made.stop != stop:
        raise ValueError(
            f"{where} is of stop rule {file.made.stop!r}, policy {settings.policy!r} is of {stop!r}; give the other "
            "policy, or fit it on a run with that --stop"
        )
    # `made` names the critic of the records (e.g. self) and settings name `fitted`: compared, they would be refused.
    plain = settings.model_copy(update={"critic": None, "critic_file": None})
    served = _served(where, file, file.made, plain)
    return replace(served, critic=Examiner("fitted", file=str(path)))


def _critic(path: Path) -> CriticFile:
    """A fitted critic that reads nothing but what its critics say."""
    file = read_critic(path)
    if any(each.name == "p_answer" for each in file.fitted.inputs):
        raise ValueError(
            f"critic {str(path)!r} reads p_answer, which takes answers that are one of several choices, and a "
            "gateway's are open; train one with --without p_answer"
        )
    for examiner in file.critics.values():
        with_command(examiner)
    return file


def _served(
    where: str, found: Diagnosis | GateFile | CriticFile, made: Made, settings: GatewaySettings
) -> ServedSettings:
    """Settings to serve, made of what records were made with; the gateway's may repeat them, and say nothing else."""
    if made.noise:
        raise ValueError(
            f"{where} is of verdicts that were flipped on purpose (noise {made.noise:g}), which nobody can ask for; "
            "make one of a run without --noise"
        )
    variant = settings.variant or made.variant or "self"
    modes: tuple[ElicitMode, ...] = get_args(ElicitMode)
    tokens, elicit = made.max_tokens, next((mode for mode in modes if mode == made.elicit), None)
    if elicit is None and made.elicit is not None:
        raise ValueError(f"{where} is of elicit {made.elicit!r}; diagnose {', '.join(modes)}")
    for what, was, said in (
        ("variant", made.variant, settings.variant),
        ("critic_tokens", tokens, settings.critic_tokens),
        ("elicit", elicit, settings.elicit),
        ("chat_template", made.chat_template, settings.chat_template),
    ):
        if was is not None and said is not None and was != said:
            raise ValueError(f"{where} is of {what} {was!r}, settings say {said!r}; leave the latter out")
    if variant not in ("self", "self-instruct"):
        raise ValueError(f"{where} is of variant {variant!r}, which is of studies; diagnose 'self' or 'self-instruct'")
    name = (made.prompt or "").rpartition("@")[0]  # from the right: a path of the user's may hold an @
    prompt = load_prompt(settings.prompt or name or PROMPT)
    if made.prompt and prompt.version != made.prompt:
        raise ValueError(
            f"{where} was made with prompt {made.prompt}, here it would be {prompt.version}; serve the words that "
            "were diagnosed, or diagnose these"
        )
    stop = made.stop or "fixed"
    if stop not in ("fixed", "satisfied"):
        raise ValueError(f"{where} is of stop rule {stop!r}, which is not served; diagnose 'fixed' or 'satisfied'")
    critic = diagnosed_examiner(where, made.examiner, made.critic, settings)
    if critic.file is not None:
        _critic(Path(critic.file))
    return ServedSettings(
        found,
        "self-instruct" if variant == "self-instruct" else "self",
        prompt,
        "satisfied" if stop == "satisfied" else "fixed",
        critic,
        settings.critic_tokens or tokens or CRITIC_TOKENS,
        settings.elicit or elicit or ELICIT,
    )


def _run(folder: Path, arm: str) -> dict[str, Any]:
    """Settings of an arm of the run in a folder; empty where no run lies there."""
    try:
        kept = json.loads((folder / RUN).read_text("utf-8"))
        return {**kept["settings"], **kept["arms"].get(arm, {})}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
