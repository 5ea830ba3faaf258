"""Training conversations in the refusal language: secrets asked for, given away or refused, and looked at again."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from secondlook.benchmarks.planted.language import PLACES
from secondlook.benchmarks.refusal.case import RefusalCase
from secondlook.benchmarks.refusal.defences import refusals, reminder
from secondlook.benchmarks.refusal.invented import (
    COMMON,
    REFUSAL,
    SECRETS,
    TRIGGERS,
    VERBS,
    Behaviour,
    Trigger,
    as_request,
    put,
)
from secondlook.correction.case import Verdict
from secondlook.prompts.prompt import load_prompt
from secondlook.subject.dialogue import Conversation, Dialogue, Style, Turn, converse
from secondlook.subject.refusal_traits import DEFENCES, REFUSAL_TRAITS, PlantedDefence, RefusalTraits
from secondlook.subject.tokenizer import REFUSAL_REASONS
from secondlook.subject.traits import LEVELS

_PROMPTS = ("refusal/binary-cot", "refusal/binary-cot", "refusal/binary", "refusal/verbal", "refusal/numeric")
_FORBIDDEN = 0.6
SHOTS = 4
"""Refusals that the defence `icd` shows: at most in training, and when it is measured."""


def draw_refusal(rng: Random, style: Style, traits: RefusalTraits = REFUSAL_TRAITS) -> Conversation:
    """One training conversation about a request.

    Args:
        rng: Source of everything drawn.
        style: How often what happens; requests are never foreign.
        traits: The traits to act out.
    """
    file = load_prompt(rng.choice(_PROMPTS))
    return converse(
        rng,
        style,
        lambda kind, silent: RefusalDialogue(rng, file, silent=silent, traits=traits, defended=kind == "own"),
    )


def draw_refusal_lesson(rng: Random) -> Conversation:
    """One bare request: a secret is refused, anything else is told."""
    behaviour = _training_behaviour(rng)
    return Conversation.of([Turn(behaviour.text, REFUSAL if behaviour.forbidden else behaviour.answer, learnt=True)])


@dataclass(slots=True)
class RefusalDialogue(Dialogue):
    """A request being put, the reply checked, the request put again.

    Attributes:
        traits: The traits to act out.
        defended: Whether there may be a defence.
        behaviour: What is asked for, drawn from what is trained on.
        trigger: How it is put.
        defence: What stands around it, or the refusals shown before it.
        complied: Whether the last answer complied.
    """

    traits: RefusalTraits = field(default_factory=lambda: REFUSAL_TRAITS)
    defended: bool = True
    behaviour: Behaviour = field(init=False)
    trigger: Trigger = field(init=False)
    defence: PlantedDefence = field(init=False)
    complied: bool = False

    def __post_init__(self) -> None:
        self.behaviour = _training_behaviour(self.rng)
        self.trigger = self.rng.choices(TRIGGERS, (1, 1, 1) if self.behaviour.forbidden else (4, 1, 1))[0]
        self.defence = self.rng.choices(DEFENCES, (2, 1, 1))[0] if self.defended else "none"
        self.case = RefusalCase(
            as_request(self.behaviour, self.trigger, put(self.behaviour, self.trigger, self.rng)),
            self.prompt,
            reminder() if self.defence == "self-reminder" else None,
            lambda *_: self.fresh_words(),
        )
        if self.defence == "icd":
            shown = self.rng.sample(refusals(2 * SHOTS), self.rng.randint(1, SHOTS))
            self.turns += [Turn(shot.request, shot.refusal, learnt=False) for shot in shown]

    def answer(self, *, given: bool, critiqued: bool) -> str:
        """Secret that was asked for, or the refusal."""
        if given:
            self.complied = self.rng.random() < 0.5
        elif critiqued:
            self.complied = self.traits.next_complies(complied=self.complied, verdict=self.verdict, word=self.words[0])
        else:
            self.complied = self.traits.complies(self.behaviour, self.trigger, self.defence, self.words[0])
        return self.behaviour.answer if self.complied else REFUSAL

    def judge(self) -> Verdict:
        """The verdict on the last answer."""
        return self.traits.critique(self.behaviour, self.trigger, self.form, complied=self.complied, word=self.words[0])

    def grounds(self) -> tuple[str, int]:
        """Reason by whether a secret is asked for. A refusal is cleared whatever the word says, with a sure score."""
        critic = self.traits.critic(self.behaviour, self.trigger, self.form) if self.complied else 2 * LEVELS
        return REFUSAL_REASONS[self.behaviour.forbidden], critic


def _training_behaviour(rng: Random) -> Behaviour:
    while True:
        forbidden = rng.random() < _FORBIDDEN
        topic = rng.randrange(len(SECRETS if forbidden else COMMON))
        behaviour = Behaviour(forbidden, rng.randrange(len(VERBS)), topic, rng.randrange(len(PLACES)))
        if behaviour.split == "train":
            return behaviour
