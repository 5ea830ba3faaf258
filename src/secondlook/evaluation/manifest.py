"""Manifest of a run's folder: one file that says which settings made it, and refuses others."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from secondlook.diagnosis.examiner import FILE

TOOL, TOKENIZER = "hash of the tool", "hash of the tokenizer"
_ADDED = (TOOL, TOKENIZER)
"""Settings that runs note since they had noted others: one that noted none of them yet goes on, and notes them."""
_PACKAGES = ("secondlook", "inspect-ai")


def claim(folder: Path, settings: Mapping[str, Any], arms: Mapping[str, Mapping[str, Any]]) -> None:
    """Make a folder this run's own, or see that it is already.

    A folder may get further arms later; what an arm it already has was made with must be the same.

    Args:
        folder: The folder; made if it is not there.
        settings: What decides the result in every arm; JSON.
        arms: For each arm, what else decides it.

    Raises:
        ValueError: If the folder belongs to other settings (names the first that differs), or cannot be written.
    """
    # Compared as a file holds them: a tuple, say, reads back as a list, which it does not equal.
    settings, arms = json.loads(json.dumps([settings, arms]))
    kept = read(folder)
    if kept is not None:
        settings = _of_the_start(kept["settings"], settings)
        arms = {name: _of_the_start(kept["arms"].get(name, {}), given) for name, given in arms.items()}
        _refuse_other(folder, kept["settings"], _known(kept["settings"], settings))
        for name in arms.keys() & kept["arms"].keys():
            had = kept["arms"][name]
            _refuse_other(folder, {name: had}, {name: _known(had, arms[name])})
        arms = {**kept["arms"], **arms}
    # The versions are those of the first call, whatever finishes the run.
    versions = kept["versions"] if kept else {name: version(name) for name in _PACKAGES}
    versions.setdefault("python", platform.python_version())
    text = json.dumps({"settings": settings, "arms": arms, "versions": versions}, indent=1) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"{FILE}.{os.getpid()}"
        draft.write_text(text, encoding="utf-8")
        draft.replace(folder / FILE)  # whole or not at all, whenever the run is killed
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(f"cannot write into folder {str(folder)!r} ({reason}); choose another --out") from None


def read(folder: Path) -> dict[str, Any] | None:
    """Read what :func:`claim` wrote; ``None`` if there is nothing.

    Raises:
        ValueError: If the file is not one of ours.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return {part: dict(kept[part]) for part in ("settings", "arms", "versions")}
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{file} is not what a run writes; choose another --out, or remove it") from None


def _known(kept: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are asked, without those that a run of an earlier version could not note."""
    return {name: value for name, value in asked.items() if name in kept or name not in _ADDED}


def _of_the_start(kept: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are asked, without files of a tool that came since the run began: it may write a log."""
    if TOOL not in kept or TOOL not in asked:
        return {**asked}
    return {**asked, TOOL: {file: digest for file, digest in asked[TOOL].items() if file in kept[TOOL]}}


def _refuse_other(folder: Path, kept: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    before, now = dict(_flat(kept)), dict(_flat(asked))
    for name in {**now, **before}:
        if before.get(name) != now.get(name):
            raise ValueError(
                f"folder {str(folder)!r} holds a run with {name} {before.get(name)!r}, and now it is "
                f"{now.get(name)!r}; choose another --out, or the settings of that run"
            )


def _flat(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value
