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

        Case and closing punctuation are ignored. A format without verdict phrases is always ``unclear``.
        """
        stated = {
            verdict: re.findall(rf"(?<!\w){re.escape(phrase)}(?!\w)", critique, re.IGNORECASE)
            for verdict, phrase in self.verdicts.items()
        }
        found = [verdict for verdict, hits in stated.items() if hits]
        if len(found) != 1:
            return "unclear"
        closing = critique.rstrip(" \t\r\n.*_\"'`)")
        return found[0] if closing.lower().endswith(self.verdicts[found[0]].lower()) else "unclear"

    def lines(self) -> list[str]:
        """The sentences without fields, one per line, each once, in file order."""
        texts = [self.query, self.check, self.refine, self.again, self.again_alone, *self.feedback.values()]
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
        ValueError: If a field is missing, unknown or not text; names the field.
    """
    data: dict[str, Any] = tomllib.loads(text)
    feedback, verdicts = data.pop("feedback", {}), data.pop("verdict", {})
    system = data.pop("system", None)
    if wrong := sorted(set(data) ^ set(_TEXTS)):
        raise ValueError(f"prompt {name}: missing or unknown field {wrong[0]!r}; expected {', '.join(_TEXTS)}")
    if set(feedback) != set(_VERDICTS):
        raise ValueError(f"prompt {name}: [feedback] needs exactly {', '.join(_VERDICTS)}, found {sorted(feedback)}")
    if verdicts and set(verdicts) != {"wrong", "right"}:
        raise ValueError(f"prompt {name}: [verdict] needs exactly wrong and right, found {sorted(verdicts)}")
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Prompt(
        version=f"{name}@{digest}",
        feedback=feedback,
        verdicts=verdicts,
        system=system,
        **{key: str(data[key]).strip() for key in _TEXTS},
    )


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
