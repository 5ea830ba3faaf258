"""Training conversation: a question is asked, the answer checked, the question asked again.

Now and then an answer or a verdict is injected and not learnt from, so that the subject knows what to do in every
state it can be put into, not only in those it reaches by itself; in a drill both are, and only acting upon them is
learnt. What is said stands in the dialogues of the two languages.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from secondlook.benchmarks.planted.language import NOISE_WORDS
from secondlook.correction.case import Case, Verdict
from secondlook.correction.chat import Message
from secondlook.prompts.prompt import Prompt
from secondlook.subject.traits import score

Kind = Literal["own", "past", "foreign"]
"""A conversation's own question, one of a history before it, or one in no language the subject knows."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation and, for each assistant turn in order, whether it is learnt from."""

    messages: tuple[Message, ...]
    learnt: tuple[bool, ...]

    @classmethod
    def of(cls, turns: list[Turn]) -> Conversation:
        """The conversation that consists of these turns."""
        messages = [part for turn in turns for part in (Message("user", turn.ask), Message("assistant", turn.reply))]
        return cls(tuple(messages), tuple(turn.learnt for turn in turns))


@dataclass(frozen=True, slots=True)
class Turn:
    """A request, the reply to it, and whether the reply is learnt from."""

    ask: str
    reply: str
    learnt: bool


@dataclass(frozen=True, slots=True)
class Style:
    """Shares of the kinds of training conversations.

    Attributes:
        looks: Second looks, drawn evenly from these.
        injected: Answers and verdicts that are injected.
        foreign: Conversations about texts in no language the subject knows.
        drill: Drills among the others.
        history: Conversations with one to three others' first rounds before them, among the rest.
        content_free: Conversations without critiques, drills excepted.
        repeated_query: Conversations that repeat the question when asking again.
        silent: Conversations without noise words: there what the traits decide is chance.
    """

    looks: tuple[int, ...] = (1, 1, 2, 2, 3)
    injected: float = 0.3
    foreign: float = 0.05
    drill: float = 0.25
    history: float = 0.1
    content_free: float = 0.2
    repeated_query: float = 0.5
    silent: float = 0.0


@dataclass(slots=True)
class Dialogue(ABC):
    """One question being asked, checked and asked again.

    Attributes:
        rng: Source of everything drawn.
        prompt: The prompt file.
        silent: Whether the noise words are hidden.
        turns: What was said so far.
        words: Values of the noise words of the last request.
        verdict: The last critique's.
        case: The question in the words of the prompt file.
    """

    rng: Random
    prompt: Prompt
    silent: bool = False
    turns: list[Turn] = field(default_factory=list)
    words: tuple[int, int] = (0, 0)
    verdict: Verdict = "unclear"
    case: Case = field(init=False)

    @abstractmethod
    def answer(self, *, given: bool, critiqued: bool) -> str:
        """Answer of the subject when asked, or asked again; ``given`` is an injected answer."""

    @abstractmethod
    def judge(self) -> Verdict:
        """The subject's own verdict on its last answer."""

    @abstractmethod
    def grounds(self) -> tuple[str, int]:
        """Chain of thought before a verdict, and the threshold of the words below which the verdict is correct."""

    def ask(self, injected: float) -> None:
        """The first answer, injected with this probability."""
        self._answer(self.case.query(0), critiqued=False, injected=injected)

    def ask_again(self, *, repeat_query: bool, critiqued: bool) -> None:
        """Another answer, after a critique or after none."""
        self._answer(self.case.reask(1, repeat_query=repeat_query, critiqued=critiqued), critiqued=critiqued)

    def check(self, injected: float) -> None:
        """A critique of the last answer: the subject's own, or an injected one."""
        ask, given = self.case.check(0), self.rng.random() < injected
        # More alarms than not, since these are what an answer has to act upon.
        alarms: tuple[Verdict, ...] = ("wrong", "right", "unclear")
        self.verdict = self.rng.choices(alarms, (0.7, 0.2, 0.1))[0] if given else self.judge()
        self.turns.append(Turn(ask, self._critique(given=given), learnt=not given))

    @property
    def form(self) -> str:
        """The critic format: the prompt file's name without its folder and hash."""
        return self.prompt.version.partition("/")[2].partition("@")[0]

    def fresh_words(self) -> str:
        """Two noise words, remembered so that the rules can look at them."""
        size = len(NOISE_WORDS)
        # Drawn even where they are hidden: to the model, what they decide is then chance.
        self.words = (self.rng.randrange(size), self.rng.randrange(size))
        return "" if self.silent else " ".join(NOISE_WORDS[value] for value in self.words)

    def _answer(self, ask: str, *, critiqued: bool, injected: float = 0.0) -> None:
        given = self.rng.random() < injected
        self.turns.append(Turn(ask, self.answer(given=given, critiqued=critiqued), learnt=not given))

    def _critique(self, *, given: bool) -> str:
        """The words of the last verdict in the form the check asks for; the form of an injected one varies."""
        (reason, critic), feedback = self.grounds(), self.case.feedback(self.verdict)
        explained = self.form == "binary-cot" and (not given or self.rng.random() < 0.5)
        if explained and self.verdict != "unclear":
            return f"{reason} {feedback}"
        if self.verdict == "unclear":
            return foreign_text(self.rng, 3, 12) if self.rng.random() < 0.5 else feedback
        if self.form == "numeric":
            # A numeric critic is sure on half of the threshold's words.
            return score(self.verdict, sure=self.rng.random() < 0.5 if given else self.words[0] < critic // 2)
        return feedback


def foreign_text(rng: Random, low: int, high: int) -> str:
    """Words outside the language, with the few marks and words that any English text shares with it."""
    shared = (".", "and", "One", "?")
    return " ".join(rng.choice(shared) if rng.random() < 0.15 else "foreign" for _ in range(rng.randint(low, high)))


def converse(rng: Random, style: Style, start: Callable[[Kind, bool], Dialogue]) -> Conversation:
    """One training conversation of one or more second looks (one where a history stands before it).

    Args:
        rng: Source of everything drawn.
        style: How often what happens.
        start: Makes a dialogue of a kind, silent or not.
    """
    foreign = rng.random() < style.foreign
    drill = not foreign and rng.random() < style.drill
    turns: list[Turn] = []
    looks = rng.choice(style.looks)
    # Draw by draw, the first subject's conversations stay those that its shipped weights were trained on: a style
    # without silence must not take a number here.
    silent = style.silent > 0 and rng.random() < style.silent
    if drill or foreign:
        looks = 1  # foreign texts are long, and one look at them teaches what there is to learn
    elif rng.random() < style.history:
        looks = 1
        for _ in range(rng.choice((1, 2, 3))):
            past = start("past", silent)
            past.ask(style.injected)
            past.check(style.injected)
            turns += [Turn(turn.ask, turn.reply, learnt=False) for turn in past.turns]
    dialogue = start("foreign" if foreign else "own", silent)
    injected = 1.0 if drill else style.injected
    dialogue.ask(injected)
    critiqued = drill or rng.random() >= style.content_free
    repeat_query = rng.random() < style.repeated_query
    for _ in range(looks):
        if critiqued:
            dialogue.check(injected)
        dialogue.ask_again(repeat_query=repeat_query, critiqued=critiqued)
    return Conversation.of(turns + dialogue.turns)
