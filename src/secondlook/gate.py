"""A gate: when an answer is looked at again, and which answer is then kept; plain data and the decision it makes.

The loop, the fast path and the gateway decide one answer at a time, a fit decides a whole table at once, and all of
them by :meth:`Gate.looks` and :meth:`Gate.keeps`: comparisons that numbers and arrays of numbers share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

When = Literal["never", "always", "alarm", "unsatisfied", "p_wrong", "p_answer", "agreement"]
"""Reason to look at an answer again: an ``alarm`` (the critic, be it a model or a tool, calls it wrong);
``unsatisfied`` (it does not call it right); a probability of ``wrong`` above the threshold; the model's own probability
of its answer, or the agreement of samples with it, below the threshold."""
Keep = Literal["new", "preferred", "confirmed"]
"""Answer that is kept after a look: always the ``new`` one; only one that a judge prefers to the earlier one; only one
that the critic calls right."""
BY_CRITIC: frozenset[When] = frozenset({"alarm", "unsatisfied", "p_wrong"})
"""Reasons that only a critique can give."""
_SHARES: tuple[When, ...] = ("p_wrong", "p_answer", "agreement")


@dataclass(frozen=True, slots=True)
class Seen:
    """Facts known of an answer before it is looked at again; or arrays of them, one entry an answer.

    Attributes:
        verdict: The critic's; ``None`` where it was not examined.
        p_wrong: Probability of the verdict ``wrong``; not a number where it is not known, as in those below.
        p_answer: Probability of the answer.
        agreement: Share of samples that give the same answer.
    """

    verdict: Any = None
    p_wrong: Any = math.nan
    p_answer: Any = math.nan
    agreement: Any = math.nan


@dataclass(frozen=True, slots=True)
class Gate:
    """When to look again, and which answer to keep.

    Attributes:
        when: Reason to look at an answer again. A number that is not known is no reason.
        threshold: From 0 to 1, of ``p_wrong``, ``p_answer`` and ``agreement``.
        samples: Answers that are sampled, of ``agreement``.
        keep: Which answer is kept.

    Raises:
        ValueError: Parts that do not go together, naming the remedy.
    """

    when: When
    threshold: float | None = None
    samples: int | None = None
    keep: Keep = "new"

    def __post_init__(self) -> None:
        for name, known in (("when", get_args(When)), ("keep", get_args(Keep))):
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"a gate's {name} is {value!r}; choose one of {', '.join(known)}")
        if (self.when in _SHARES) != (self.threshold is not None):
            raise ValueError(f"a gate by {self.when} with threshold {self.threshold}; {', '.join(_SHARES)} have one")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(f"a gate's threshold is {self.threshold:g}; it is a share, from 0 to 1")
        if (self.when == "agreement") != (self.samples is not None) or (self.samples is not None and self.samples < 1):
            raise ValueError(f"a gate by {self.when} with {self.samples} samples; agreement is of 1 or more, none else")

    @property
    def by_critic(self) -> bool:
        """Whether a critique decides."""
        return self.when in BY_CRITIC

    def looks(self, seen: Seen) -> Any:
        """Whether an answer is looked at again; of arrays an array, or a single bool where all are decided alike."""
        # Comparisons with NaN are false, so a number that is not known is no reason to look. A negation, such as
        # `not seen.p_wrong <= self.threshold`, would make it one.
        match self.when:
            case "alarm":
                return seen.verdict == "wrong"
            case "unsatisfied":
                # A verdict that is unclear or missing is not "right" either: it counts, as docs/gates.md says.
                return seen.verdict != "right"
            case "p_wrong":
                return seen.p_wrong > self.threshold
            case "p_answer":
                return seen.p_answer < self.threshold
            case "agreement":
                return seen.agreement < self.threshold
        return self.when == "always"

    def keeps(self, *, preferred: Any = None, verdict: Any = None) -> Any:
        """Whether a new answer is kept; of arrays an array, or a single bool where all are decided alike.

        Args:
            preferred: Whether a judge prefers it to the earlier one; ``None`` where it did not say.
            verdict: The critic's, on the new answer.
        """
        if self.keep == "preferred":
            return preferred == True  # noqa: E712 - an array has no truth of its own
        return verdict == "right" if self.keep == "confirmed" else True

    @property
    def words(self) -> str:
        """Description for people."""
        share = f"{self.threshold:.3g}" if self.threshold is not None else ""
        when = {
            "never": "never look again",
            "always": "always look again",
            "alarm": "look again at an alarm",
            "unsatisfied": "look again unless the critic is satisfied",
            "p_wrong": f"look again where p_wrong > {share}",
            "p_answer": f"look again where p_answer < {share}",
            "agreement": f"look again where fewer than {share} of {self.samples} samples agree",
        }[self.when]
        kept = {"preferred": ", keep what the judge prefers", "confirmed": ", keep what the critic confirms"}
        return when + ("" if self.when == "never" else kept.get(self.keep, ""))


NEVER, ALWAYS, UNSATISFIED = Gate("never"), Gate("always"), Gate("unsatisfied")
