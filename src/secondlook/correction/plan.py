"""Plan: how often and how long the loop may look again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from secondlook.correction.chat import Message
from secondlook.correction.elicit import Asking, ElicitMode
from secondlook.correction.transcript import StopRule, Variant
from secondlook.gate import ALWAYS, UNSATISFIED, Gate


@dataclass(frozen=True, slots=True)
class Plan:
    """Plan of the loop for every question of a run.

    Attributes:
        variant: How the question is put again: ``self`` repeats it, ``diverse`` also puts ``history`` before
            it, ``self-instruct`` asks to refine the earlier answer without repeating the question. ``resample`` is
            no second look but its control: every round asks the question anew, in a conversation of its own that
            no critic sees, so that answers can vote.
        rounds: Number of second looks; 0 asks for the first answer only.
        stop: ``fixed`` makes all rounds; ``satisfied`` ends at the first answer the critic calls right; ``gate`` at
            the first that the gate does not look at, or at a new answer that it does not keep.
        gate: When to look again, and which answer to keep; of stop rule ``gate`` alone, but for ``keep``, which any
            plan may have.
        verify: Whether the model is asked to verify its answer in the very turn in which it answers again, with no
            critique before it.
        max_tokens: No call is started once this many tokens, input and output, are spent on a question.
        max_seconds: No call is started, and one in flight is cut off, this long after the first began.
        seed: Seed of the run.
        history: Other rounds, put before the question (variant ``diverse`` only).
        elicit: Whether a model is asked once more for an answer or a verdict alone: never (``line``), where none can be
            read (``auto``), or always (``choice``).
        confidence: Whether it is noted how likely answers and verdicts were, where the model tells.
    """

    variant: Variant = "self"
    rounds: int = 1
    stop: StopRule = "fixed"
    max_tokens: int | None = None
    max_seconds: float | None = None
    seed: int = 0
    history: tuple[Message, ...] = ()
    elicit: ElicitMode = "line"
    confidence: bool = False
    gate: Gate | None = None
    verify: bool = False

    def __post_init__(self) -> None:
        for name, known in (
            ("variant", get_args(Variant)),
            ("stop", get_args(StopRule)),
            ("elicit", get_args(ElicitMode)),
        ):
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name} is {value!r}: choose one of {', '.join(known)}")
        if self.rounds < 0:
            raise ValueError(f"rounds is {self.rounds!r}: give 0 or more second looks")
        always = self.gate is None or self.gate.when == "always"
        if (self.stop == "gate" and self.gate is None) or (self.stop != "gate" and not always):
            raise ValueError(
                f"stop is {self.stop!r} and the gate {self.gate and self.gate.words}: give stop 'gate' and a gate"
            )
        if self.stop == "satisfied" and self.gate is not None:
            raise ValueError("stop 'satisfied' is a gate of its own: leave the other out, or give stop 'gate'")
        if self.gate is not None and self.variant == "resample":
            raise ValueError("variant 'resample' looks at nothing again: leave the gate out")
        for name, least in (("max_tokens", "1 or more"), ("max_seconds", "more than 0")):
            # `not limit > 0` refuses nan too.
            if (limit := getattr(self, name)) is not None and not limit > 0:
                raise ValueError(f"{name} is {limit!r}: give {least}, or None for no limit")
        if self.variant == "diverse" and not self.history:
            raise ValueError("history is empty: variant 'diverse' needs other rounds, see as_history")
        if self.variant != "diverse" and self.history:
            raise ValueError(
                f"history has {len(self.history)} messages, which variant {self.variant!r} does not show: "
                "leave it out, or choose variant 'diverse'"
            )
        roles = [message.role for message in self.history]
        if roles != ["user", "assistant"] * (len(roles) // 2):
            raise ValueError(f"history has the roles {roles}: alternate user and assistant, user first")

    @property
    def decides(self) -> Gate:
        """The gate that decides, whatever the stop rule calls it."""
        return self.gate or (UNSATISFIED if self.stop == "satisfied" else ALWAYS)

    @property
    def asking(self) -> Asking:
        """Rules for replies that state nothing."""
        return Asking(self.elicit, self.confidence)
