"""Words: the patterns of the room by name, as they stand in the files beside this one, which anybody can read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

_NAME = re.compile("%([a-z_]+)%")


@cache
def patterns(file: str) -> Mapping[str, re.Pattern[str]]:
    """The patterns of a file, each joined over its lines, with those that it names put in."""
    texts: dict[str, str] = tomllib.loads((resources.files(__name__) / f"{file}.toml").read_text("utf-8"))
    whole: dict[str, str] = {}
    for name, text in texts.items():
        whole[name] = _NAME.sub(lambda part: whole[part[1]], text.replace("\n", ""))
    return {name: re.compile(pattern) for name, pattern in whole.items()}


CUES = patterns("cues")
