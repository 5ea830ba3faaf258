"""Policy: when to look again by settings, by a diagnosis, and by what a request asks for itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import permutations
from typing import TYPE_CHECKING, Literal

from secondlook.correction.elicit import ElicitMode
from secondlook.correction.transcript import StopRule, Variant
from secondlook.diagnosis.examiner import Examiner
from secondlook.gate import ALWAYS, UNSATISFIED, Gate
from secondlook.gateway.examining import given_examiner, served_name, who
from secondlook.gateway.refusal import RefusalError
from secondlook.gateway.settings import CRITIC_TOKENS, ELICIT, PROMPT, GatewaySettings
from secondlook.prompts.prompt import Prompt, load_prompt

if TYPE_CHECKING:
    from secondlook.gateway.diagnosed import ServedSettings

Action = Literal["passed", "corrected", "kept", "failed", "escalated", "refused"]
"""What was done with a request: passed on; answered again; looked at and kept; not looked at to the end; handed to a
person; refused."""

TASK, POLICY, ROUNDS = "x-secondlook-task", "x-secondlook-policy", "x-secondlook-rounds"
"""Headers of a request: what it is about, and what it asks for."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Decision about one request.

    Attributes:
        rounds: Second looks at most; with 0 it is passed on.
        stop: Whether they end once the critic is satisfied.
        variant: How the question is put again.
        prompt: The words of check and requests.
        critic: Who examines.
        critic_tokens: Tokens that a critique may have.
        elicit: Whether the critic is asked once more where no verdict can be read.
        reason: Why, in a word: ``always``, ``flagged``, ``never``, ``helps``, ``hurts``, ``undecided``, ``untested``
            (of a gate), ``undiagnosed`` (no diagnosis of this model or task) or ``override``.
        gate: When to look, and what to keep; ``None`` where the stop rule says it all.
        undecided: Whether the diagnosis, or the test of the gate, is; no request can ask for that to be otherwise.
    """

    rounds: int
    stop: StopRule
    variant: Variant
    prompt: Prompt
    critic: Examiner
    critic_tokens: int
    elicit: ElicitMode
    reason: str
    gate: Gate | None = None
    undecided: bool = False


class Policy:
    """Decides for every request.

    Args:
        settings: The gateway's.

    Raises:
        ValueError: A diagnosis or prompt file cannot be used, or a diagnosis was made with other words or another
            critic than the settings name.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self.name = settings.policy
        self._settings = settings
        self._given = load_prompt(settings.prompt or PROMPT)
        self._critic = given_examiner(settings)
        self._fitted = _fitted(settings)
        self._served = _served(settings)
        for served, other in permutations(self._served, 2):
            if served.model and other.fits(name := served_name(served.model)):
                raise ValueError(f"there are two diagnoses of model {name!r}; give one a model")

    def diagnosed(self, model: str) -> bool:
        """Whether there is a diagnosis of a model."""
        return any(served.fits(model) for served in self._served)

    def says(self) -> Iterator[str]:
        """Lines that say what will be done and why, one for each model and task."""
        settings = self._settings
        if not self._served:
            looks = {"always": _looks(settings.rounds, self._critic), "flagged": f"checked by {who(self._critic)}"}
            yield f"every model: {self.name}, {looks.get(self.name, 'passed on')}"
            if self.name == "never":
                yield "to look twice, give --policy diagnosis.json (secondlook diagnose RUN --out diagnosis.json)"
        for served in self._served:
            if served.gate is not None:
                decided = self._gated(served)
                done = _looks(decided.rounds, served.critic) if decided.rounds else "passed on"
                yield f"{served_name(served.model)}: {decided.reason}, {done}; gate: {served.gate.gate.words}"
                continue
            diagnosis, groups = served.diagnosis, served.diagnosis.groups
            for group in (diagnosis.overall, *(groups if len(groups) > 1 else ())):
                task = "" if group is diagnosis.overall else f", task {group.group}"
                rounds = min(group.recommended_rounds, settings.rounds) if group.finding == "helps" else 0
                done = _looks(rounds, served.critic) if rounds else "passed on"
                gate = f"; gate: {served.decides.words}" if rounds and served.decides else ""
                yield f"{served_name(diagnosis.model)}{task}: {group.finding}, {done}{gate}"
        if self._served:
            yield "every other model and task: undiagnosed, passed on"

    def decide(self, model: str, headers: Mapping[str, str]) -> Decision:
        """Decide about a request for a model.

        Raises:
            RefusalError: The request asks for what it may not, or for nothing that there is.
        """
        own = self._own(model, headers.get(TASK))
        return self._overridden(replace(own, undecided=own.reason == "undecided"), headers)

    def _own(self, model: str, task: str | None) -> Decision:
        settings = self._settings
        tokens = settings.critic_tokens or CRITIC_TOKENS
        variant = settings.variant or "self"
        plain = Decision(
            0, "fixed", variant, self._given, self._critic, tokens, settings.elicit or ELICIT, settings.policy
        )
        if settings.policy == "never":
            return plain
        if (fitted := self._fitted) is not None and settings.policy != "diagnosis":
            if not fitted.fits(model):
                return replace(plain, reason="undiagnosed")
            plain = replace(
                plain,
                variant=fitted.variant,
                prompt=fitted.prompt,
                critic=fitted.critic,
                critic_tokens=fitted.critic_tokens,
                elicit=fitted.elicit,
            )
        if settings.policy != "diagnosis":
            return replace(plain, rounds=settings.rounds, stop="satisfied" if settings.policy == "flagged" else "fixed")
        fitting = [served for served in self._served if served.fits(model)]
        if len(fitting) != 1:  # a short name, `m` of x/a/m and y/b/m, is of neither: which is meant is not known
            return replace(plain, reason="undiagnosed")
        (served,) = fitting
        if served.gate is not None:
            return self._gated(served)
        groups = {group.group: group for group in served.diagnosis.groups} | {None: served.diagnosis.overall}
        if (group := groups.get(task)) is None:
            return replace(plain, reason="undiagnosed")
        rounds = min(group.recommended_rounds, settings.rounds) if group.finding == "helps" else 0
        found = (served.stop, served.variant, served.prompt, served.critic, served.critic_tokens, served.elicit)
        return Decision(rounds, *found, group.finding, served.decides)

    def _gated(self, served: ServedSettings) -> Decision:
        """As a gate says, if a test has shown that it helps; else nothing."""
        assert served.gate is not None
        file, tested = served.gate, served.gate.tested
        rounds = min(file.rounds, self._settings.rounds) if file.helps else 0
        # To look always is the stop rule `fixed`. Without a gate a request may still ask for `flagged`.
        gate = None if file.gate == ALWAYS else file.gate
        return Decision(
            rounds,
            "fixed" if file.gate.when == "always" else "gate",
            *(served.variant, served.prompt, served.critic, served.critic_tokens, served.elicit),
            reason=tested.finding if tested else "untested",
            gate=gate,
        )

    def _overridden(self, own: Decision, headers: Mapping[str, str]) -> Decision:
        policy, rounds = headers.get(POLICY), headers.get(ROUNDS)
        if policy is None and rounds is None:
            return own
        allowed = self._settings.override
        if allowed == "none":
            raise _refused(f"this server takes no {POLICY if policy else ROUNDS} header; leave it out")
        if policy not in (None, "always", "flagged", "never"):
            raise _refused(f"{POLICY} is {policy!r}; it is always, flagged or never")
        most = self._settings.rounds if allowed == "any" else own.rounds
        wanted = most
        if rounds is not None:
            # isdigit alone also takes other scripts' digits and ², and numbers of any length.
            if not (rounds.isascii() and rounds.isdigit() and len(rounds) < 4):
                raise _refused(f"{ROUNDS} is {rounds!r}; it is a number, 0 or more")
            wanted = int(rounds)
        if policy == "never":
            wanted = 0
        stop, gate = own.stop, own.gate
        # Whether a critic's flags are fewer than a gate's looks is not known, unless the gate always looks: with less
        # allowed, the gate stays, or at least what it keeps.
        if (policy == "flagged" and (gate is None or allowed == "any")) or (policy == "always" and allowed == "any"):
            stop, gate = "satisfied" if policy == "flagged" else "fixed", None
        elif policy == "flagged" and gate is not None and gate.when == "always":
            stop, gate = "gate", replace(UNSATISFIED, keep=gate.keep)
        return replace(own, rounds=min(wanted, most), stop=stop, gate=gate, reason="override")


def _looks(rounds: int, critic: Examiner) -> str:
    return f"looks again {'once' if rounds == 1 else f'{rounds} times'}, checked by {who(critic)}"


def _fitted(settings: GatewaySettings) -> ServedSettings | None:
    if settings.critic_file is None:
        return None
    from secondlook.gateway.diagnosed import serve_critic  # as below

    return serve_critic(settings.critic_file, settings)


def _served(settings: GatewaySettings) -> list[ServedSettings]:
    if not settings.diagnoses:
        return []
    # What reads a diagnosis takes three times as long to load as all else together, and twice its memory.
    from secondlook.gateway.diagnosed import serve_file

    return [serve_file(path, settings) for path in settings.diagnoses]


def _refused(said: str) -> RefusalError:
    return RefusalError(400, "override", said)
