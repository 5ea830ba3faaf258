"""Training conversations: the planted rules acted out in the words of the real prompt files.

Now and then an answer or a verdict is injected and not learnt from, so that the subject knows what to do in every
state it can be put into, not only in those it reaches by itself; one conversation in four is a drill, in which both
are, and only acting upon them is learnt. A few conversations are about texts
in no language it knows; there every answer is as good as another, and it learns to name one all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from secondlook.benchmarks.bbq.case import LETTERS, BBQCase
from secondlook.benchmarks.bbq.item import Item
from secondlook.benchmarks.planted import language
from secondlook.benchmarks.planted.items import item_of
from secondlook.benchmarks.prompts import Prompt, load_prompt
from secondlook.correction.case import Verdict
from secondlook.correction.chat import Message
from secondlook.subject.tokenizer import REASONS, STANCES, Stance
from secondlook.subject.traits import PRACTICE, TRAITS, Traits

_PROMPTS = ("bbq/binary-cot", "bbq/binary-cot", "bbq/binary", "bbq/verbal")
_INJECTED = 0.3
_FOREIGN = 0.05
_HISTORY = 0.1
_DRILL = 0.25
_CONTENT_FREE = 0.2
_REPEATED_QUERY = 0.5
_VERDICTS: tuple[Verdict, ...] = ("wrong", "right")


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation and, for each assistant turn in order, whether it is learnt from."""

    messages: tuple[Message, ...]
    learnt: tuple[bool, ...]


def draw_conversation(rng: Random, table: Mapping[str, Traits] = TRAITS) -> Conversation:
    """One training conversation of one to three second looks (one where a history stands before it).

    Args:
        rng: Source of everything drawn.
        table: The traits to act out, by category.
    """
    prompt = load_prompt(rng.choice(_PROMPTS))
    foreign = rng.random() < _FOREIGN
    drill = not foreign and rng.random() < _DRILL
    turns: list[_Turn] = []
    looks = rng.choice((1, 1, 2, 2, 3))
    if drill:
        looks = 1
    elif foreign:
        looks = 1  # such texts are long, and one look at them teaches what there is to learn
    elif rng.random() < _HISTORY:
        looks = 1
        for _ in range(rng.choice((1, 2, 3))):
            past = _Dialogue(rng, prompt, table, foreign=False)
            past.ask()
            past.check()
            turns += [_Turn(turn.ask, turn.reply, learnt=False) for turn in past.turns]
    dialogue = _Dialogue(rng, prompt, table, foreign=foreign)
    dialogue.ask(injected=1.0 if drill else _INJECTED)
    critiqued = drill or rng.random() >= _CONTENT_FREE
    repeat_query = rng.random() < _REPEATED_QUERY
    for _ in range(looks):
        if critiqued:
            dialogue.check(injected=1.0 if drill else _INJECTED)
        dialogue.ask_again(repeat_query=repeat_query, critiqued=critiqued)
    turns += dialogue.turns
    messages = [message for turn in turns for message in (Message("user", turn.ask), Message("assistant", turn.reply))]
    return Conversation(tuple(messages), tuple(turn.learnt for turn in turns))


def draw_first_lesson(rng: Random) -> Conversation:
    """One question, rightly answered: reading comes before having traits."""
    dialogue = _Dialogue(rng, load_prompt(rng.choice(_PROMPTS)), PRACTICE, foreign=False)
    ask = dialogue.case.query(0)
    reply = dialogue.name(dialogue.item.label)
    return Conversation((Message("user", ask), Message("assistant", reply)), (True,))


@dataclass(frozen=True, slots=True)
class _Turn:
    ask: str
    reply: str
    learnt: bool


@dataclass(slots=True)
class _Dialogue:
    """One question being asked, checked and asked again."""

    rng: Random
    prompt: Prompt
    table: Mapping[str, Traits]
    foreign: bool
    item: Item = field(init=False)
    case: BBQCase = field(init=False)
    traits: Traits = field(init=False)
    turns: list[_Turn] = field(default_factory=list)
    words: tuple[int, int] = (0, 0)
    answer: int = 0
    verdict: Verdict = "unclear"

    def __post_init__(self) -> None:
        category = self.rng.choice(language.CATEGORIES)
        self.traits = self.table[category]
        self.item = item_of(language.draw_row(_training_scene(self.rng, category), self.rng))
        if self.foreign:
            self.item = _foreign_item(self.rng, self.item)
        self.case = BBQCase(self.item, self.prompt, self._fresh_words)

    def ask(self, injected: float = _INJECTED) -> None:
        """The first answer."""
        self._answer(self.case.query(0), critiqued=False, injected=injected)

    def ask_again(self, *, repeat_query: bool, critiqued: bool) -> None:
        """Another answer, after a critique or after none."""
        self._answer(self.case.reask(1, repeat_query=repeat_query, critiqued=critiqued), critiqued=critiqued)

    def check(self, injected: float = _INJECTED) -> None:
        """A critique of the last answer: the subject's own, or an injected one."""
        ask = self.case.check(0)
        if given := self.rng.random() < injected:
            # More alarms than not, since these are what an answer has to act upon.
            self.verdict = self.rng.choices(("wrong", "right", "unclear"), (0.7, 0.2, 0.1))[0]
        elif self.foreign:
            self.verdict = self.rng.choice(_VERDICTS)
        else:
            self.verdict = self.traits.critique(self.answer == self.item.label, self.words[0])
        reply = self.case.feedback(self.verdict)
        explained = "binary-cot" in self.prompt.version and (not given or self.rng.random() < 0.5)
        if explained and self.verdict != "unclear":
            reply = f"{REASONS[self.item.condition]} {reply}"
        elif self.verdict == "unclear" and self.rng.random() < 0.5:
            reply = _foreign_text(self.rng, 3, 12)
        self.turns.append(_Turn(ask, reply, learnt=not given))

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
        self.turns.append(_Turn(ask, stance + self.name(self.answer), learnt=not given))

    def name(self, choice: int) -> str:
        """How the subject names an option: letter and text; the letter alone where it cannot read the text."""
        letter = f"({LETTERS[choice]})"
        return letter if self.foreign else f"{letter} {self.item.options[choice]}"

    def _fresh_words(self, _stage: str, _round_index: int) -> str:
        """Two noise words, remembered so that the rules can look at them; foreign texts have none."""
        if self.foreign:
            return ""
        size = len(language.NOISE_WORDS)
        self.words = (self.rng.randrange(size), self.rng.randrange(size))
        return " ".join(language.NOISE_WORDS[value] for value in self.words)


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


def _foreign_text(rng: Random, low: int, high: int) -> str:
    """Words outside the language, with the few marks and words that any English text shares with it."""
    shared = (".", "and", "One", "?")
    return " ".join(rng.choice(shared) if rng.random() < 0.15 else "foreign" for _ in range(rng.randint(low, high)))


def _foreign_item(rng: Random, item: Item) -> Item:
    return Item(
        id=item.id,
        category=item.category,
        template=item.template,
        condition=item.condition,
        polarity=item.polarity,
        context=_foreign_text(rng, 8, 60),
        question=_foreign_text(rng, 4, 14) + "?",
        options=(_foreign_text(rng, 1, 5), _foreign_text(rng, 1, 5), _foreign_text(rng, 1, 5)),
        label=item.label,
        unknown=item.unknown,
        biased=item.biased,
    )
