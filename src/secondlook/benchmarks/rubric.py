"""Rubrics of judge models: their words, in a file of each benchmark, and how a judgement is read."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from secondlook.reading import read_verdict


@cache
def rubric_words(package: str) -> Mapping[str, Any]:
    """The words of a benchmark's judge: ``rubric``, and in ``phrases`` what states each outcome."""
    file = resources.files(package) / "words" / "judge.toml"
    return tomllib.loads(file.read_text("utf-8"))


def read_judgement(package: str, judgement: str | None) -> str:
    """The outcome that a judgement ends with, if it states that one and not another; else ``unclear``."""
    phrases: dict[str, str] = rubric_words(package)["phrases"]
    return (judgement and read_verdict(judgement, phrases).value) or "unclear"
