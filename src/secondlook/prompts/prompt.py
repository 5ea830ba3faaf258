"""Prompt files: every sentence a model is shown, one readable TOML file per version."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from secondlook.correction.case import VERDICTS, Verdict
from secondlook.correction.chat import Finish
from secondlook.correction.elicit import Form
from secondlook.reading import read_score, read_verdict

_TEXTS = ("query", "check", "refine", "again", "again_alone")
_ALONE = ("answer", "verdict", "better", "verify")
_OPEN = "State your final answer alone and nothing else."
_VERIFY = (
    "First verify your answer above, step by step. Only if you find an error, give a corrected answer; if you find "
    "none, give the same answer again."
)
# By the verdict on the latest answer, since read_verdict reads the judge's reply too.
_BETTER: dict[Verdict, str] = {"wrong": "Choice: earlier", "right": "Choice: latest"}
_COMPARE = (
    "You have given two answers to the question: the earlier one and your latest one. Which is more likely to be "
    'right? Reply with "Choice: earlier" or "Choice: latest".'
)


@dataclass(frozen=True, slots=True)
class ScoreScale:
    """Scale by which a numeric critique is read.

    Attributes:
        label: What stands before the number, e.g. ``Score:``.
        lowest: The lowest score that may be given.
        highest: The highest.
        right_from: An answer with this score or a higher one is called right, with a lower one wrong.
    """

    label: str
    lowest: int
    highest: int
    right_from: float

    def whole(self) -> list[str]:
        """Every whole score, lowest first, as a critique states it."""
        return [f"{self.label} {score}" for score in range(self.lowest, self.highest + 1)]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt file.

    Attributes:
        version: Name and content hash, e.g. ``bbq/binary-cot@1f0c2a9d44e1``: any edit changes it.
        query: The question, with named fields in braces.
        check: The request to examine the answer.
        refine: The request for a better answer that does not repeat the question.
        again: The content-free line put before a repeated question.
        again_alone: The content-free request that does not repeat the question.
        feedback: A canned critique for each verdict, in the form the check asks for.
        verdicts: The phrase that states each verdict; empty where the format states none.
        system: System message, if any.
        scale: How a score is read, in the numeric format.
        alone: The requests for the ``answer`` alone, for the ``verdict`` alone, for the ``better`` of two answers, and
            to ``verify`` an answer in the turn that gives another, where the file has its own.
    """

    version: str
    query: str
    check: str
    refine: str
    again: str
    again_alone: str
    feedback: dict[Verdict, str]
    verdicts: dict[Verdict, str]
    system: str | None = None
    scale: ScoreScale | None = None
    alone: dict[str, str] = field(default_factory=dict)

    def answer_form(
        self, read: Callable[[str, Finish], str | None], choices: tuple[str, ...] = (), *, number: bool = False
    ) -> Form:
        """The form of an answer, which is one of some letters, or open.

        Args:
            read: What an answer states.
            choices: The letters.
            number: Whether an open answer is a number.
        """
        among = f" ({', '.join(choices[:-1])} or {choices[-1]})" if choices else ""
        usual = f"State your answer alone: the letter of one option{among} and nothing else."
        return Form(self.alone.get("answer", usual if choices else _OPEN), read, choices, number)

    @property
    def verdict_form(self) -> Form | None:
        """The form of a verdict: the phrases, or the whole scores; ``None`` where the format states none."""
        if self.scale is not None:
            label, scale = self.scale.label, self.scale
            usual = f'Reply with "{label} " and a whole number from {scale.lowest} to {scale.highest} alone.'
            choices = tuple(scale.whole())
        elif self.verdicts:
            choices = tuple(self.verdicts.values())
            usual = "Reply with {} alone.".format(" or ".join(f'"{phrase}"' for phrase in choices))
        else:
            return None
        return Form(self.alone.get("verdict", usual), self._stated, choices)

    @property
    def preference_form(self) -> Form:
        """The form in which a judge says which of two answers is better; the latter choice is the latest answer."""
        choices = tuple(_BETTER.values())
        return Form(self.alone.get("better", _COMPARE), _better, choices)

    @property
    def verify(self) -> str:
        """The request to verify the earlier answer, and to change it only where it is wrong."""
        return self.alone.get("verify", _VERIFY)

    def _stated(self, critique: str, finish: Finish) -> str | None:
        """The phrase or whole score that a critique states."""
        if self.scale is not None:
            score = self.score(critique, finish)
            return None if score is None else f"{self.scale.label} {score:g}"
        return self.verdicts.get(self.verdict(critique, finish))

    def reask(self, query: str, *, repeat_query: bool, critiqued: bool) -> str:
        """The request for another answer; see :meth:`secondlook.correction.Case.reask`."""
        if repeat_query:
            return query if critiqued else f"{self.again}\n\n{query}"
        return self.refine if critiqued else self.again_alone

    def verdict(self, critique: str, finish: Finish = "stop") -> Verdict:
        """The verdict that a critique finally gives (:func:`~secondlook.reading.read_verdict`), else ``unclear``.

        A format without verdict phrases states none. In the numeric format it is what the :meth:`score` amounts to.
        """
        if self.scale is not None:
            score = self.score(critique, finish)
            return "unclear" if score is None else "right" if score >= self.scale.right_from else "wrong"
        for verdict, phrase in self.verdicts.items():
            if critique == phrase:  # as a held reply, and every choice of the form, is
                return verdict
        return (self.verdicts and read_verdict(critique, self.verdicts, finish=finish).value) or "unclear"

    def score(self, critique: str, finish: Finish = "stop") -> float | None:
        """The score that a numeric critique finally gives; ``None`` where the format has none."""
        if self.scale is None:
            return None
        return read_score(critique, self.scale.label, self.scale.lowest, self.scale.highest, finish=finish).value

    def lines(self) -> list[str]:
        """The sentences without fields and the scores that may be given, one per line, each once, in file order."""
        texts = [self.query, self.check, self.refine, self.again, self.again_alone, *self.feedback.values()]
        texts += [self.system] if self.system else []
        texts += self.scale.whole() if self.scale else []
        lines = (line.strip() for text in texts for line in text.splitlines())
        return list(dict.fromkeys(line for line in lines if line and "{" not in line))


def _better(said: str, finish: Finish) -> str | None:
    """Answer of two that a reply finally prefers."""
    found = read_verdict(said, _BETTER, finish=finish).value
    return None if found is None else _BETTER[found]


def load_prompt(name: str) -> Prompt:
    """Load ``benchmark/file``, e.g. ``bbq/binary-cot``, or a file of the user's own, ``PATH.toml``.

    Raises:
        ValueError: If there is no such prompt (the known ones are listed) or the file is malformed.
    """
    if name.endswith(".toml"):
        try:
            return parse_prompt(name, Path(name).read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"prompt file {name!r} cannot be read ({error})") from None
    return _shipped(name)


@cache
def _shipped(name: str) -> Prompt:
    known = prompt_names()
    if name not in known:
        raise ValueError(f"unknown prompt {name!r}; known: {', '.join(known)}, or a file PATH.toml")
    benchmark, _, stem = name.partition("/")
    text = (resources.files("secondlook.prompts") / benchmark / f"{stem}.toml").read_text("utf-8")
    return parse_prompt(name, text)


def parse_prompt(name: str, text: str) -> Prompt:
    """Read the text of a prompt file.

    Raises:
        ValueError: If the text is not TOML, or a field is missing, unknown, empty or not text; names the field.
    """
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"prompt {name}: not TOML ({error})") from None
    feedback, verdicts = _table(name, data, "feedback", VERDICTS), _table(name, data, "verdict", ("wrong", "right"))
    scale, alone = _scale(name, data), data.pop("alone", {})
    if not isinstance(alone, dict) or not set(alone) <= set(_ALONE):
        raise ValueError(f"prompt {name}: [alone] is {alone!r}; it may have {' and '.join(_ALONE)}")
    if scale and verdicts:
        raise ValueError(f"prompt {name}: [verdict] and [score] are two ways to state a verdict; keep one")
    if not feedback:
        raise ValueError(f"prompt {name}: [feedback] is missing; it needs {', '.join(VERDICTS)}")
    if wrong := sorted((set(data) - {"system"}) ^ set(_TEXTS)):
        raise ValueError(
            f"prompt {name}: missing or unknown field {wrong[0]!r}; expected {', '.join(_TEXTS)} and, if wanted, system"
        )
    texts = {key: _text(name, key, value) for key, value in data.items()}
    # Of the whole text, comments too: editing one makes a new version, and a gateway refuses diagnoses of the old.
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Prompt(
        version=f"{name}@{digest}",
        feedback={verdict: feedback[verdict] for verdict in VERDICTS},
        verdicts={verdict: verdicts[verdict] for verdict in VERDICTS if verdict in verdicts},
        # Popped here, before `**texts` below passes on what is left.
        system=texts.pop("system", None),
        scale=scale,
        alone={key: _text(name, f"alone.{key}", value) for key, value in alone.items()},
        **texts,
    )


def _scale(name: str, data: dict[str, Any]) -> ScoreScale | None:
    """Take the table of the numeric format out of the data."""
    expected = tuple(each.name for each in fields(ScoreScale))
    table = data.pop("score", None)
    if table is None:
        return None
    if not isinstance(table, dict) or set(table) != set(expected):
        found = ", ".join(sorted(table)) if isinstance(table, dict) else repr(table)
        raise ValueError(f"prompt {name}: [score] needs exactly {', '.join(expected)}, found {found}")
    low, high, right = (table[key] for key in expected[1:])
    # `type` instead of isinstance, to which true is an int.
    if not (type(low) is int and type(high) is int and type(right) in (int, float) and low < right <= high):
        raise ValueError(
            f"prompt {name}: [score] is lowest {low!r}, highest {high!r}, right_from {right!r}; give whole ends, and a "
            "right_from above the lowest and not above the highest"
        )
    return ScoreScale(_text(name, "score.label", table["label"]), low, high, right)


def _table(name: str, data: dict[str, Any], key: str, expected: tuple[str, ...]) -> dict[str, str]:
    """Take a table of texts out of the data; empty if it is not there."""
    table = data.pop(key, {})
    if not isinstance(table, dict) or (table and set(table) != set(expected)):
        found = ", ".join(sorted(table)) if isinstance(table, dict) else repr(table)
        raise ValueError(f"prompt {name}: [{key}] needs exactly {', '.join(expected)}, found {found}")
    return {verdict: _text(name, f"{key}.{verdict}", value) for verdict, value in table.items()}


def _text(name: str, key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"prompt {name}: field {key!r} is {value!r}; give it some text")
    return value.strip()


@cache
def prompt_names() -> tuple[str, ...]:
    """Every prompt file in the package, as ``benchmark/file``."""
    root = resources.files("secondlook.prompts")
    return tuple(
        sorted(
            f"{room.name}/{file.name.removesuffix('.toml')}"
            for room in root.iterdir()
            if room.is_dir()
            for file in room.iterdir()
            if file.name.endswith(".toml")
        )
    )
