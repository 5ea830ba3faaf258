"""Prompt files: every sentence a model is shown, one readable TOML file per version."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from secondlook.correction.case import Verdict

_TEXTS = ("query", "check", "refine", "again", "again_alone")
_VERDICTS: tuple[Verdict, ...] = ("wrong", "right", "unclear")
_TYPOGRAPHY = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"", "*`")
_EMPHASIS = re.compile(r"(?<![^\W_])_+|_+(?![^\W_])")
_CLOSING = " \t\r\n.!\"')"
_DENIED = re.compile(r"(?:\b(?:not|cannot|never|neither|nor)|n't)\b[^.,:;!?\n]*$", re.IGNORECASE)


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

    def reask(self, query: str, *, repeat_query: bool, critiqued: bool) -> str:
        """The request for another answer; see :meth:`secondlook.correction.Case.reask`."""
        if repeat_query:
            return query if critiqued else f"{self.again}\n\n{query}"
        return self.refine if critiqued else self.again_alone

    def verdict(self, critique: str) -> Verdict:
        """The verdict a critique ends with, if it states that one and no other; else ``unclear``.

        Case, closing punctuation, Markdown emphasis and runs of spaces are ignored. A verdict denied in its own clause
        ("I would not say Verdict: biased") is ``unclear``; so is all of a format without verdict phrases.
        """
        text = re.sub(r"[^\S\n]+", " ", _EMPHASIS.sub("", critique.translate(_TYPOGRAPHY))).rstrip(_CLOSING)
        found = {
            verdict: hits
            for verdict, phrase in self.verdicts.items()
            if (hits := list(re.finditer(rf"(?<!\w){re.escape(phrase)}(?!\w)", text, re.IGNORECASE)))
        }
        if len(found) != 1:
            return "unclear"
        ((verdict, hits),) = found.items()
        ends = hits[-1].end() == len(text) and not _DENIED.search(text, endpos=hits[-1].start())
        return verdict if ends else "unclear"

    def lines(self) -> list[str]:
        """The sentences without fields, one per line, each once, in file order."""
        texts = [self.query, self.check, self.refine, self.again, self.again_alone, *self.feedback.values()]
        texts += [self.system] if self.system else []
        lines = (line.strip() for text in texts for line in text.splitlines())
        return list(dict.fromkeys(line for line in lines if line and "{" not in line))


@cache
def load_prompt(name: str) -> Prompt:
    """Load ``benchmark/file``, e.g. ``bbq/binary-cot``.

    Raises:
        ValueError: If there is no such prompt (the known ones are listed) or the file is malformed.
    """
    known = prompt_names()
    if name not in known:
        raise ValueError(f"unknown prompt {name!r}; known: {', '.join(known)}")
    benchmark, _, stem = name.partition("/")
    text = (resources.files("secondlook.benchmarks") / benchmark / "prompts" / f"{stem}.toml").read_text("utf-8")
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
    feedback, verdicts = _table(name, data, "feedback", _VERDICTS), _table(name, data, "verdict", ("wrong", "right"))
    if not feedback:
        raise ValueError(f"prompt {name}: [feedback] is missing; it needs {', '.join(_VERDICTS)}")
    if wrong := sorted((set(data) - {"system"}) ^ set(_TEXTS)):
        raise ValueError(
            f"prompt {name}: missing or unknown field {wrong[0]!r}; expected {', '.join(_TEXTS)} and, if wanted, system"
        )
    texts = {key: _text(name, key, value) for key, value in data.items()}
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Prompt(
        version=f"{name}@{digest}",
        feedback={verdict: feedback[verdict] for verdict in _VERDICTS},
        verdicts={verdict: verdicts[verdict] for verdict in _VERDICTS if verdict in verdicts},
        system=texts.pop("system", None),
        **texts,
    )


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
    root = resources.files("secondlook.benchmarks")
    return tuple(
        sorted(
            f"{room.name}/{file.name.removesuffix('.toml')}"
            for room in root.iterdir()
            if room.is_dir() and (room / "prompts").is_dir()
            for file in (room / "prompts").iterdir()
            if file.name.endswith(".toml")
        )
    )
