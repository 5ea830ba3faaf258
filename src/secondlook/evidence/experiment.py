"""Experiment: a claim with its thresholds, how its numbers are found, its result; for laboratory and studies alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from secondlook.evidence.curves import Curve, Panel
from secondlook.evidence.outcome import ClaimEstimate, Part
from secondlook.evidence.result import judged, pictured, provenance, write


class Recorded(Protocol):
    """Variant as a result records it."""

    def record(self) -> dict[str, Any]:
        """Record for JSON with at least `label` and `also`, what was changed besides to be fair."""
        ...


@dataclass(frozen=True)
class Findings:
    """Findings of an experiment.

    Attributes:
        numbers: A number for each seed, or an estimate, by the name of the claim's part.
        panels: Panels of its figure.
        curves: And their lines.
        notes: Sentences about limits, and what was not run.
        variants: What was compared.
        untrained: Why nothing is said: how the base fell short of being trained; empty if it did not.
    """

    numbers: Mapping[str, Sequence[float] | ClaimEstimate]
    panels: tuple[Panel, ...]
    curves: tuple[Curve, ...]
    notes: tuple[str, ...] = ()
    variants: tuple[Recorded, ...] = ()
    untrained: str = ""


@dataclass(frozen=True)
class About:
    """Facts about the setting that a result was found in.

    Attributes:
        profile: Name of the profile, which says how large.
        configuration: All that it depends on.
        notes: Sentences that are true of every result there.
        reduced: Whether it is smaller than what the claims are about, so that nothing is refuted.
        more: Further fields.
        earlier: Seconds that parts of it took before.
    """

    profile: str
    configuration: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    reduced: bool = False
    more: Mapping[str, Any] | None = None
    earlier: float = 0.0


class Setting(Protocol):
    """Setting in which an experiment is conducted: a laboratory, or a bench of planted subjects."""

    def about(self) -> About:
        """Facts about the setting, once the numbers are found."""
        ...


W = TypeVar("W", bound=Setting)


@dataclass(frozen=True)
class Experiment(Generic[W]):
    """Claim with its thresholds, and how to find its numbers.

    Attributes:
        id: L1 to L10, S1 to S8, R1 to R3.
        title: A few words.
        claim: What is claimed, in our words.
        source: Figure, table or section of the paper; `ours` where the claim is not the paper's.
        parts: Numbers and thresholds; fixed before the run.
        run: Finds the numbers.
        ask: Asks a bench all that `run` asks it, and nothing more, so that it can be counted first; a laboratory has
            none.
        real: The command that finds out on real models, where this does not.
    """

    id: str
    title: str
    claim: str
    source: str
    parts: tuple[Part, ...]
    run: Callable[[W], Findings]
    real: str = ""
    ask: Callable[[W], object] | None = None


def find(names: Sequence[str], known: Mapping[str, Experiment[W]], kind: str) -> list[Experiment[W]]:
    """The experiments of some ids, each once; `all` stands for every one.

    Args:
        names: Ids, in capitals or not.
        known: Experiments by id.
        kind: What they are called.

    Raises:
        ValueError: There is none; the known ones are listed.
    """
    wanted: dict[str, Experiment[W]] = {}
    for name in names:
        if name != "all" and name.upper() not in known:
            raise ValueError(f"{kind} {name!r} is unknown; known: {', '.join(known)}, all")
        wanted |= known if name == "all" else {name.upper(): known[name.upper()]}
    return list(wanted.values())


def conduct(experiment: Experiment[W], place: W, folder: Path, command: str) -> dict[str, Any]:
    """Run an experiment, and write `result.json` and its figure as PNG and SVG.

    Args:
        experiment: Which.
        place: Where; what was trained or asked there before is not done again.
        folder: Where the files go.
        command: What a user types to do it again.

    Returns:
        What is in `result.json`.

    Raises:
        ValueError, RuntimeError, FloatingPointError, OSError: As its run does. What was done is kept.
    """
    begun = time.perf_counter()
    findings = experiment.run(place)
    # After the run: a bench knows only then what was asked, when, and how long it took.
    about = place.about()
    result = {
        "id": experiment.id,
        "title": experiment.title,
        "claim": experiment.claim,
        "source": experiment.source,
        **judged(experiment.parts, findings.numbers, reduced=about.reduced, trained=not findings.untrained),
        "profile": about.profile,
        "notes": [*findings.notes, *filter(None, (findings.untrained, *about.notes))],
        "variants": [variant.record() for variant in findings.variants],
        **pictured(findings.panels, findings.curves),
        "configuration": dict(about.configuration),
        "command": command,
        **({"real": experiment.real} if experiment.real else {}),
        **(about.more or {}),
        "seconds": round(time.perf_counter() - begun + about.earlier, 1),
        **provenance(),
    }
    write(result, folder)
    return result
