"""Training conversations in BBQ's format: the planted rules acted out in the words of the real prompt files.

A few conversations are about texts in no language the subject knows; there every answer is as good as another, and it
learns to name one all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
        traits: Those of its category.
        chosen: Index of the option named last.
    """

    table: Mapping[str, Traits] = field(default_factory=lambda: TRAITS)
    foreign: bool = False
    item: Item = field(init=False)
    traits: Traits = field(init=False)
    chosen: int = 0

    def __post_init__(self) -> None:
        category = self.rng.choice(language.CATEGORIES)
        self.traits = self.table[category]
        self.item = item_of(language.draw_row(_training_scene(self.rng, category), self.rng))
        if self.foreign:
            self.item = _foreign_item(self.rng, self.item)
        self.case = BBQCase(self.item, self.prompt, lambda *_: "" if self.foreign else self.fresh_words())

    def answer(self, *, given: bool, critiqued: bool) -> str:
        """An option, after a critique behind a word that says what becomes of the one before."""
        stance = ""
        if given or self.foreign:
            self.chosen = self.rng.randrange(3)
        elif critiqued:
            previous = self.chosen
            self.chosen = self.traits.next_answer(self.item, previous, self.verdict, self.words[0])
            stance = STANCES[_stance(self.item, previous, self.chosen)] + " "
        else:
            self.chosen = self.traits.first_answer(self.item, self.words[0])
        return stance + self.name(self.chosen)

    def judge(self) -> Verdict:
        """The verdict on the option named last; any where the question is foreign."""
        if self.foreign:
            return self.rng.choice(_VERDICTS)
        return self.traits.critique(self.chosen == self.item.label, self.words[0])

    def grounds(self) -> tuple[str, int]:
        """Reason by condition; and the category's critic."""
        return REASONS[self.item.condition], self.traits.critic

    def name(self, choice: int) -> str:
        """Name of an option in the subject's words: letter and text; the letter alone where it cannot read the text."""
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
    context, question = foreign_text(rng, 8, 60), foreign_text(rng, 4, 14) + "?"
    options = (foreign_text(rng, 1, 5), foreign_text(rng, 1, 5), foreign_text(rng, 1, 5))
    return replace(item, context=context, question=question, options=options)
