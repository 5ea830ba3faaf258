"""Abilities of critics by their names: settings are refused before a model is asked."""

from __future__ import annotations

from secondlook.gate import Gate

SILENT = ("none", "vote", "verify-first", "accept-reject")
"""Critics that say nothing of an answer before it is given again."""
JUDGES = ("self", "other", "accept-reject")
"""Critics that can say which of two answers is the better one."""


def check_fit(gate: Gate, critic: str) -> None:
    """See that a critic tells what a gate asks for.

    Raises:
        ValueError: It does not; names the remedy.
    """
    if gate.by_critic and critic in SILENT:
        raise ValueError(f"a gate that asks for a verdict ({gate.words}) has none of critic {critic!r}; choose another")
    if gate.keep == "confirmed" and critic in SILENT:
        raise ValueError(f"critic {critic!r} confirms no answer; choose one that gives verdicts, or keep 'new'")
    if gate.keep == "preferred" and critic not in JUDGES:
        raise ValueError(f"critic {critic!r} prefers no answer; choose one of {', '.join(JUDGES)}, or keep 'new'")
