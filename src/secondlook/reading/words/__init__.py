"""Words: the patterns of the room by name, as they stand in the files beside this one, which anybody can read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

_NAME = re.compile("%([a-z_]+)%")


class _Compiled(dict[str, re.Pattern[str]]):
    """Patterns by name, each compiled when it is first asked for: whoever reads a number needs but a few of them."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        super().__init__()
        self._texts = texts

    def __missing__(self, name: str) -> re.Pattern[str]:
        compiled = self[name] = re.compile(self._texts[name])
        return compiled


@cache
def patterns(file: str) -> Mapping[str, re.Pattern[str]]:
    """The patterns of a file by name, each joined over its lines, with those that it names put in."""
    texts: dict[str, str] = tomllib.loads((resources.files(__name__) / f"{file}.toml").read_text("utf-8"))
    whole: dict[str, str] = {}
    # In the order of the file: a pattern can only name those above it.
    for name, text in texts.items():
        whole[name] = _NAME.sub(lambda part: whole[part[1]], text.replace("\n", ""))
    return _Compiled(whole)


CUES = patterns("cues")
