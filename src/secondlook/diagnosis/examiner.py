"""Examiner: the critic of a run as its folder tells it, so that the one that was diagnosed is deployed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "run.json"
"""File that a run leaves in its folder: its settings, and those of each arm."""


@dataclass(frozen=True, slots=True)
class Examiner:
    """The critic of an arm.

    Attributes:
        kind: ``self``, ``other``, ``tool``, ``fitted``, ``verify-first``, ``accept-reject``, ``recorded`` or
            ``oracle``.
        model: Of ``other``, with its provider.
        command: Of ``tool``, as a shell reads it.
        seconds: That the tool may take for one answer; ``None`` for what is usual.
        tokens: That a critique may have, where a model writes it.
        file: Of ``fitted``.
    """

    kind: str
    model: str | None = None
    command: str | None = None
    seconds: float | None = None
    tokens: int | None = None
    file: str | None = None


def examiner_of(run: Mapping[str, Any], arm: str, critic: str) -> Examiner:
    """The critic of an arm, of a run with these settings (``run.json``).

    Args:
        run: Settings of the run, and of each arm.
        arm: Name of the arm.
        critic: Its critic, without noise, under whose name the settings of an arm with noise stand.
    """
    shared = run["settings"]
    own = {**shared, **run["arms"].get(arm, run["arms"].get(critic, {}))}
    # Where arms are critics, the endpoint of critic `other` stands with its arm, and its model covers the run's in
    # `own`; elsewhere it stands among the shared settings.
    model = (shared.get("critic_endpoint") or own)["model"] if critic == "other" else None
    written = critic in ("self", "other", "fitted", "accept-reject")
    return Examiner(
        critic,
        model,
        own.get("critic_command") if critic == "tool" else None,
        own.get("critic_seconds") if critic == "tool" else None,
        own.get("max_tokens") if written else None,
        own.get("fitted_file") if critic == "fitted" else None,
    )


def read_run(folder: Path) -> dict[str, Any] | None:
    """Read what a run left in its folder; ``None`` where nothing of ours is."""
    try:
        kept = json.loads((folder / FILE).read_text("utf-8"))
        return {part: dict(kept[part]) for part in ("settings", "arms")}
    except (OSError, ValueError, LookupError, TypeError):
        return None
