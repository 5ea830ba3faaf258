"""Training conversations in BBQ's format: the planted rules acted out in the words of the real prompt files.

A few conversations are about texts in no language the subject knows; there every answer is as good as another, and it
learns to name one all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from secondlook.benchmarks.bbq.case import LETTERS, BBQCase
from secondlook.benchmarks.bbq.item import Item
from secondlook.benchmarks.planted import language
from secondlook.benchmarks.planted.items import item_of
from secondlook.correction.case import Verdict
from secondlook.prompts.prompt import load_prompt
from secondlook.subject.dialogue import Conversation, Dialogue, Style, Turn, converse, foreign_text
from secondlook.subject.tokenizer import REASONS, STANCES, Stance
from secondlook.subject.traits import PRACTICE, TRAITS, Traits

_PROMPTS = ("bbq/binary-cot", "bbq/binary-cot", "bbq/binary", "bbq/verbal")
_VERDICTS: tuple[Verdict, ...] = ("wrong", "right")
_STYLE = Style()


def draw_conversation(
    rng: Random, table: Mapping[str, Traits] = TRAITS, *, style: Style = _STYLE, prompt: str | None = None
) -> Conversation:
    """One training conversation.

    Args:
        rng: Source of everything drawn.
        table: The traits to act out, by category.
        style: How often what happens.
        prompt: Prompt file; drawn if ``None``.
    """
    file = load_prompt(prompt or rng.choice(_PROMPTS))
    return converse(
        rng, style, lambda kind, silent: BBQDialogue(rng, file, silent=silent, table=table, foreign=kind == "foreign")
    )


def draw_first_lesson(rng: Random) -> Conversation:
    """One question, rightly answered: reading comes before having traits."""
    dialogue = BBQDialogue(rng, load_prompt(rng.choice(_PROMPTS)), table=PRACTICE)
    ask = dialogue.case.query(0)
    return Conversation.of([Turn(ask, dialogue.name(dialogue.item.label), learnt=True)])


@dataclass(slots=True)
class BBQDialogue(Dialogue):
    """A multiple-choice question being asked, checked and asked again.

    Attributes:
        table: The traits to act out, by category.
        foreign: Whether the question is in no language the subject knows.
        item: The question, drawn from the scenes that are trained on.
        case: The question in the words of the prompt file.
        answer: Index of the option named last.
    """

    table: Mapping[str, Traits] = field(default_factory=lambda: TRAITS)
    foreign: bool = False
    item: Item = field(init=False)
    case: BBQCase = field(init=False)
    traits: Traits = field(init=False)
    answer: int = 0

    def __post_init__(self) -> None:
        category = self.rng.choice(language.CATEGORIES)
        self.traits = self.table[category]
        self.item = item_of(language.draw_row(_training_scene(self.rng, category), self.rng))
        if self.foreign:
            self.item = _foreign_item(self.rng, self.item)
        self.case = BBQCase(self.item, self.prompt, lambda *_: "" if self.foreign else self.fresh_words())

    def ask(self, injected: float) -> None:
        """The first answer."""
        self._answer(self.case.query(0), critiqued=False, injected=injected)

    def ask_again(self, *, repeat_query: bool, critiqued: bool) -> None:
        """Another answer, after a critique or after none."""
        self._answer(self.case.reask(1, repeat_query=repeat_query, critiqued=critiqued), critiqued=critiqued)

    def check(self, injected: float) -> None:
        """A critique of the last answer."""
        ask = self.case.check(0)
        if given := self.rng.random() < injected:
            self.verdict = self.injected_verdict()
        elif self.foreign:
            self.verdict = self.rng.choice(_VERDICTS)
        else:
            self.verdict = self.traits.critique(self.answer == self.item.label, self.words[0])
        reply = self.critique(
            self.case.feedback(self.verdict), REASONS[self.item.condition], self.traits.critic, given=given
        )
        self.turns.append(Turn(ask, reply, learnt=not given))

    def _answer(self, ask: str, *, critiqued: bool, injected: float = 0.0) -> None:
        stance = ""
        given = self.rng.random() < injected
        if given or self.foreign:
            self.answer = self.rng.randrange(3)
        elif critiqued:
            previous = self.answer
            self.answer = self.traits.next_answer(self.item, previous, self.verdict, self.words[0])
            stance = STANCES[_stance(self.item, previous, self.answer)] + " "
        else:
            self.answer = self.traits.first_answer(self.item, self.words[0])
        self.turns.append(Turn(ask, stance + self.name(self.answer), learnt=not given))

    def name(self, choice: int) -> str:
        """How the subject names an option: letter and text; the letter alone where it cannot read the text."""
        letter = f"({LETTERS[choice]})"
        return letter if self.foreign else f"{letter} {self.item.options[choice]}"


def _stance(item: Item, previous: int, answer: int) -> Stance:
    if answer == previous:
        return "keep"
    return "repair" if answer == item.label else "harm"


def _training_scene(rng: Random, category: str) -> language.Scene:
    while True:
        scene = language.Scene(
            category,
            rng.choice(language.targets(category)),
            rng.choice(language.others(category)),
            rng.randrange(len(language.DEEDS)),
            rng.randrange(len(language.PLACES)),
        )
        if scene.split == "train":
            return scene


def _foreign_item(rng: Random, item: Item) -> Item:
    return Item(
        id=item.id,
        category=item.category,
        template=item.template,
        condition=item.condition,
        polarity=item.polarity,
        context=foreign_text(rng, 8, 60),
        question=foreign_text(rng, 4, 14) + "?",
        options=(foreign_text(rng, 1, 5), foreign_text(rng, 1, 5), foreign_text(rng, 1, 5)),
        label=item.label,
        unknown=item.unknown,
        biased=item.biased,
    )
