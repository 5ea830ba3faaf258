"""Transcript: the rounds of one question, as plain data that survives a trip through JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import TypeAdapter

from secondlook.correction.case import Verdict
from secondlook.correction.chat import Finish, Message, ModelInfo, Usage
from secondlook.correction.elicit import Elicited, stated
from secondlook.gate import Keep

StopRule = Literal["fixed", "satisfied", "gate"]
Variant = Literal["self", "diverse", "self-instruct", "resample"]
Stop = Literal["rounds", "satisfied", "gate", "rejected", "abstained", "tokens", "seconds", "refused", "error"]


class _Call:
    """Cost of a call, and of another that asked for what it should have stated, if there was one."""

    __slots__ = ()
    usage: Usage
    seconds: float
    elicited: Elicited | None

    @property
    def cost(self) -> Usage:
        """Tokens of both calls."""
        return self.usage + self.elicited.usage if self.elicited else self.usage

    @property
    def took(self) -> float:
        """Seconds of both calls."""
        return self.seconds + (self.elicited.seconds if self.elicited else 0.0)


@dataclass(frozen=True, slots=True)
class Critique(_Call):
    """Critique of one answer: its words, its verdict as read, and its cost.

    Attributes:
        reasoning: What it thought before, where the server tells that apart.
        elicited: What it said when it was asked for its verdict alone, if it was.
        shares: Probability of the verdicts ``wrong`` and ``right``, where it is known.
    """

    text: str
    verdict: Verdict
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    finish: Finish = "stop"
    reasoning: str = ""
    elicited: Elicited | None = None
    shares: dict[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Preference(_Call):
    """Preference of a judge between two answers, the earlier one and the one after it, and its cost.

    Attributes:
        new: Whether it prefers the later one; ``None`` where it did not say.
        elicited: What it said when it was asked for that alone, if it was.
    """

    text: str
    new: bool | None
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    elicited: Elicited | None = None


@dataclass(frozen=True, slots=True)
class Round(_Call):
    """One answer and the critique of *this* answer (``None`` if it was never examined).

    Attributes:
        index: 0 for the first answer, 1 for the answer after the first second look, and so on.
        finish: Why the model stopped; ``length`` marks a truncated answer.
        usage: Tokens of the call that gave the answer; the critique carries its own.
        seconds: Wall time of that call.
        reasoning: What the model thought before, where the server tells that apart.
        elicited: What it said when it was asked for its answer alone, if it was.
        shares: Probability of each choice, where it is known.
        sampled: Cost of the samples that agree with it or do not, if a gate asked for any.
        agreement: Share of them that do.
        preference: Whether a judge prefers it to the answer before it, if one was asked.
        kept: Whether it is the answer in hand until there is another; ``False`` where the earlier one was kept.
    """

    index: int
    answer: str
    finish: Finish
    usage: Usage
    seconds: float
    critique: Critique | None = None
    reasoning: str = ""
    elicited: Elicited | None = None
    shares: dict[str, float] | None = None
    sampled: Usage | None = None
    agreement: float | None = None
    preference: Preference | None = None
    kept: bool = True

    @property
    def spent(self) -> Usage:
        """Everything this round cost: answer, samples, critique and judge."""
        total = self.cost + (self.sampled or Usage())
        return sum((part.cost for part in (self.critique, self.preference) if part is not None), total)

    @property
    def stated(self) -> tuple[str, Finish]:
        """The text that the answer is read from, and why it ended."""
        return stated(self.answer, self.finish, self.elicited)


@dataclass(frozen=True, slots=True)
class Transcript:
    """The whole conversation about one question.

    Attributes:
        prompt: Name and version of the prompt file.
        critic: Name of the critic, e.g. ``self`` or ``noisy(0.25, oracle)``.
        messages: Every message shown or received, in order.
        rounds: The rounds that produced an answer; empty only if the first call failed.
        stop: Why the loop ended.
        error: What went wrong, or how the model refused, in one line, if ``stop`` is ``error`` or ``refused``.
        lost: Cost of the calls that brought no round: an empty completion, a call cut off by the time budget or
            by an error (counted in ``calls``; the tokens of those are not known) and those before it in the same
            critique, or what made a history that other samples share.
        rule: Which stop rule the loop had; ``None`` in transcripts that are older than this field.
        keep: Which answer was kept after a look, likewise.
    """

    sample: str
    prompt: str
    model: ModelInfo
    critic: str
    variant: Variant
    seed: int
    messages: tuple[Message, ...]
    rounds: tuple[Round, ...]
    stop: Stop
    error: str | None = None
    lost: Usage = field(default_factory=Usage)
    rule: StopRule | None = None
    keep: Keep | None = None

    @property
    def answer(self) -> str | None:
        """The answer in hand, the last that was kept; ``None`` only if there never was one."""
        return self.in_hand.answer if self.rounds else None

    @property
    def in_hand(self) -> Round:
        """The round of the answer in hand; there must be a round."""
        return self.held(len(self.rounds))

    def held(self, looks: int) -> Round:
        """The round of the answer in hand after at most so many second looks; there must be a round."""
        return next(round_ for round_ in reversed(self.rounds[: looks + 1]) if round_.kept)

    @property
    def usage(self) -> Usage:
        """Everything this transcript cost, critiques and lost calls included."""
        total = self.lost
        return sum((round_.spent for round_ in self.rounds), total)

    def to_json(self) -> str:
        """Serialise to JSON, losslessly."""
        return _ADAPTER.dump_json(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Transcript:
        """Read what :meth:`to_json` wrote.

        Raises:
            pydantic.ValidationError: If the text is not a transcript (a ``ValueError``).
        """
        return _ADAPTER.validate_json(text)


_ADAPTER: TypeAdapter[Transcript] = TypeAdapter(Transcript)
