"""The declared claims: what each says, what would support and what would refute it, written before anything is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from secondlook.evidence.experiment import Experiment
from secondlook.evidence.outcome import Part, side
from secondlook.lab.experiments import EXPERIMENTS
from secondlook.studies.experiments import EXPERIMENTS as STUDIES
from secondlook.studies.experiments import REAL

Floor = Literal["theory", "laboratory", "studies", "real"]
DEMONSTRATED = "smollm2-135m"
"""The real model that the demo asks; others are asked by name."""
HOLDING = ("proved", "verified", "supported")
"""Outcomes under which a claim holds; a planted one holds if the finding inside it does."""


@dataclass(frozen=True)
class Claim:
    """A claim of the ledger.

    Attributes:
        id: T1 to T13, L1 to L10, S1 to S8, R1 to R3.
        title: A few words.
        statement: What is claimed, in our words.
        source: Theorem, figure or section of the paper; `ours` where the claim is not the paper's.
        support: What counts as support.
        refutation: What counts as refutation.
        floor: Where its evidence is gathered.
        job: What gathers it; claims with the same job get their evidence together.
        command: What a user types for this claim alone; `{profile}` stands for the profile.
        full: The command of the full run.
        hardware: What that run needs.
        proof: Where a written proof stands, if one does.
        parts: Numbers and thresholds, of laboratory and studies.
    """

    id: str
    title: str
    statement: str
    source: str
    support: str
    refutation: str
    floor: Floor
    job: str
    command: str
    full: str
    hardware: str
    proof: str | None = None
    parts: tuple[Part, ...] = ()

    def committed(self, results: Path) -> Path | None:
        """The committed result of the last full run, if this floor has such files."""
        room = {"laboratory": "lab/quick", "studies": "studies/quick", "real": f"real/{DEMONSTRATED}"}.get(self.floor)
        return results / room / self.id / "result.json" if room else None

    def asked_of(self, results: Path) -> list[Path]:
        """The committed results on real models, a file each."""
        return sorted((results / "real").glob(f"*/{self.id}/result.json")) if self.floor == "studies" else []

    def agrees(self, parts: Sequence[dict[str, Any]]) -> bool:
        """Whether evidence gathered earlier had these thresholds; what some places cannot tell may be missing."""
        found = {part["name"] for part in parts}
        declared = [part for part in self.parts if not part.optional or part.name in found]
        # In their order, too: an experiment that lists its parts anew loses its committed result.
        return [(part.name, part.above, part.below, part.whose) for part in declared] == [
            (part["name"], part.get("above"), part.get("below"), part["whose"]) for part in parts
        ]


def holds(record: dict[str, Any]) -> bool:
    """Whether a claim's record says that it holds."""
    outcome = record["finding"] if record["outcome"] == "planted" else record["outcome"]
    return outcome in HOLDING


def find(names: Sequence[str]) -> list[Claim]:
    """The claims of these ids, in the ledger's order; of no id, all.

    Raises:
        ValueError: An id that is not in the ledger; the known ones are listed.
    """
    wanted = {name.upper() for name in names} or set(LEDGER)
    if unknown := sorted(wanted - set(LEDGER)):
        raise ValueError(f"claim {unknown[0]!r} is unknown; known: {', '.join(LEDGER)}")
    return [claim for name, claim in LEDGER.items() if name in wanted]


_EXACT = (
    "every step made, in every context of the grid, is within its derived bound and within the accuracy fixed for the "
    "grid (10⁻¹² for each term of a step at wide gaps, 10⁻⁹ elsewhere)",
    "one step beyond its bound or that accuracy",
)
_NUMERIC = ("every number is within its bound", "one number beyond its bound")
_TWO_CORES = "two idle cores, a minute or two"


def _theory(
    number: int,
    title: str,
    statement: str,
    source: str,
    job: str = "grid",
    counts: tuple[str, str] = _EXACT,
    proof: str | None = None,
) -> Claim:
    command = f"secondlook reproduce T{number} --profile {{profile}}"
    return Claim(
        f"T{number}", title, statement, source, *counts, "theory", job, command, "secondlook prove", _TWO_CORES, proof
    )


_THEORY = (
    _theory(
        1,
        "a step on W is a shift of the responses",
        "A gradient step on W changes the loss exactly as moving every response by minus the step does.",
        "Proposition 3.1",
        "shift",
        _NUMERIC,
    ),
    _theory(
        2,
        "one layer of two heads makes the Bradley–Terry step",
        "One layer of two softmax heads makes the gradient step of the Bradley–Terry loss.",
        "Theorem 3.2",
    ),
    _theory(
        3,
        "N−1 blocks make the Plackett–Luce step",
        "N−1 blocks of three softmax heads and a feed-forward network make the step of the Plackett–Luce loss.",
        "Theorem 3.3",
    ),
    _theory(
        4,
        "several queries in one context",
        "Several queries in one context are served by one step on W.",
        "appendix F.1",
    ),
    _theory(
        5,
        "every prefix under a causal mask",
        "Under a causal mask every position makes the step of its own prefix.",
        "appendix F.2",
    ),
    _theory(6, "K stacks make K steps", "K stacks of the same blocks make K gradient steps.", "ours"),
    _theory(
        7,
        "attention alone makes the step",
        "Two heads a block, without any feed-forward network after the embedding, make every prefix's step.",
        "ours",
    ),
    _theory(
        8,
        "constant depth, traded for heads",
        "1 + K attention and two feed-forward layers make K steps of N responses, with N heads and a width that grows "
        "with N: depth is traded for heads.",
        "ours",
    ),
    _theory(
        9,
        "the error falls with temperature, down to rounding",
        "The error falls as e^(−βΔ) with inverse temperature and gap, until rounding is all that is left.",
        "ours",
        "temperature",
        (
            "every point is within its bound, and the slope of log error against βΔ is within 0.05 of −1 wherever "
            "rounding leaves a slope to fit",
            "a point beyond its bound, or a slope further off",
        ),
    ),
    _theory(
        10,
        "the loss is convex by the squared reward",
        "With the squared reward the loss is convex in W, with the cosine it is not; of a separable ranking the "
        "infimum lies at infinity.",
        "ours; the paper calls the loss non-convex",
        "convexity",
        (
            "no midpoint of 4,096 random pairs lies above the chord by more than rounding, with the cosine one clearly "
            "does, and far out the loss of separable rankings vanishes",
            "a midpoint above the chord, no counter-example with the cosine, or a loss that stays",
        ),
        "docs/theory.md#t10-the-loss-is-convex",
    ),
    _theory(
        11,
        "the printed sign moves the wrong way",
        "As printed, the shift moves the prediction away from the preferred response; with the opposite sign it is "
        "the gradient step.",
        "ours",
        "sign",
        (
            "in every context the loss rises with the printed sign and falls with the other, and each step is minus, "
            "or plus, the true one within its bound",
            "one context in which it does not, or a step beyond the bound",
        ),
    ),
    _theory(
        12,
        "what a verdict is worth",
        "Fed a critic's verdicts for rewards, T2's layer moves the log-odds of the right answer by c(u − p): a look "
        "helps iff more than half of the alarms are true, and answers tend to be right as often as Upp says.",
        "ours",
        "verdicts",
        (
            "every step of verdicts, every margin, mean and limit is within its derived bound, under chosen, "
            "adversarial and random verdicts (these up to a probability of 10⁻⁹), and one half misjudges no critic",
            "one number beyond its bound, or a critic misjudged",
        ),
        "docs/theory.md#t12-what-a-verdict-is-worth",
    ),
    _theory(
        13,
        "one head is not enough",
        "One softmax layer makes the Bradley–Terry step in every token with two heads, and cannot with one: that is "
        "off by half of the largest step or more.",
        "ours",
        "heads",
        (
            "every layer of one head, fitted or random, is off by at least half of the largest step in the proof's "
            "contexts, and two heads are exact",
            "a layer of one head that is off by less, or two heads that are not exact",
        ),
        "docs/theory.md#t13-one-head-is-not-enough",
    ),
)


def _counts(parts: Sequence[Part]) -> tuple[str, str]:
    own = [part for part in parts if part.whose == "paper"] or list(parts)
    said = "; ".join(f"{part.says} ({side(part.above, part.below)})" for part in own)
    return (
        f"the whole 95% interval of every part within its threshold: {said}",
        "the whole interval of one part beyond it",
    )


def _tried(each: Experiment[Any], floor: Floor, command: str, full: str, hardware: str) -> Claim:
    counts, parts = _counts(each.parts), each.parts
    return Claim(
        each.id, each.title, each.claim, each.source, *counts, floor, each.id, command, full, hardware, parts=parts
    )


_LABORATORY = tuple(
    _tried(
        each,
        "laboratory",
        f"secondlook lab run {each.id} --profile {{profile}}",
        f"secondlook lab run {each.id} --profile paper --device cuda",
        "one GPU, hours; --profile released for the released code's setting",
    )
    for each in EXPERIMENTS.values()
)
_STUDIES = tuple(
    _tried(
        each,
        "studies",
        f"secondlook study run {each.id} --profile {{profile}}",
        each.real,
        "a language model: an endpoint, or one GPU",
    )
    for each in STUDIES.values()
)
_REAL = tuple(
    _tried(
        each,
        "real",
        f"secondlook study run {each.id} --model {DEMONSTRATED}",
        f"secondlook study run {each.id} --model MODEL",
        "a language model: an endpoint, or one of secondlook models",
    )
    for each in REAL.values()
)
LEDGER = {claim.id: claim for claim in (*_THEORY, *_LABORATORY, *_STUDIES, *_REAL)}
"""Every claim by its id: T1–T13, L1–L10, S1–S8, R1–R3."""
