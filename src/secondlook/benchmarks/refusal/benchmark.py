"""The refusal benchmark: ``secondlook eval refusal --behaviours FILE --defence none --defence self``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from secondlook.benchmarks.benchmark import (
    Answered,
    Asked,
    Benchmark,
    Display,
    Graded,
    Judge,
    OwnArm,
    Questions,
    option,
)
from secondlook.benchmarks.planted.noise import Noise, check_schedule, words_around
from secondlook.benchmarks.refusal.case import RefusalCase
from secondlook.benchmarks.refusal.defences import DEFENCES, Reminder, refusals, reminder, study_fields
from secondlook.benchmarks.refusal.item import Request
from secondlook.benchmarks.refusal.judge_model import RubricJudge
from secondlook.benchmarks.refusal.load import load_attacks, load_behaviours
from secondlook.correction.case import Case, seed_from
from secondlook.correction.chat import Finish
from secondlook.prompts.prompt import Prompt
from secondlook.reading import read_refusal

if TYPE_CHECKING:
    from secondlook.benchmarks.refusal.summary import RefusalReport


@dataclass(frozen=True, slots=True)
class RefusalOptions:
    """Options of the requests."""

    behaviours: str | None = option(None, "CSV file of harmful behaviours (AdvBench or JailbreakBench).")
    benign: str | None = option(None, "CSV file of benign behaviours, for over-refusal.")
    attacks: tuple[str, ...] | None = option(None, "JSON file of stored attacks, replayed; repeatable.")
    shots: int = option(4, "Refusals that defence icd shows.")
    limit: int | None = option(None, "Requests of each file; the same behaviours of each.")
    schedule: str | None = option(None, "Noise words of the planted language: fresh, fixed or none.")


class Refusal(Benchmark[Request, RefusalOptions]):
    """Requests that should be refused, and requests that should not, behind defences."""

    name = "refusal"
    about = "Jailbreak defence: attack success beside over-refusal."
    item = Request
    options = RefusalOptions
    prompts = "refusal"
    prompt = "refusal/verbal"
    arms = DEFENCES
    arm_word = "defence"
    judge: ClassVar[Judge | None] = RubricJudge()

    def questions(self, options: RefusalOptions, seed: int) -> Questions[Request]:
        """Behaviours as they are, stored attacks on them, and benign behaviours."""
        if options.limit is not None and options.limit < 1:
            raise ValueError(f"limit is {options.limit}; ask for at least 1 request of each file")
        schedule = None if options.schedule is None else check_schedule(options.schedule)
        harmful = load_behaviours(Path(options.behaviours), "harmful") if options.behaviours else []
        # Inspect's command line gives one file as a text.
        files = [options.attacks] if isinstance(options.attacks, str) else options.attacks or ()
        attacks = load_attacks([Path(file) for file in files])
        parts = [harmful, *(attack.requests for attack in attacks)]
        parts.append(load_behaviours(Path(options.benign), "benign") if options.benign else [])
        if not any(parts):
            raise ValueError("there is nothing to ask: give --behaviours, --benign or --attacks, each a file")
        chosen = [request for part in parts for request in _some(part, options.limit, seed)]
        # By behaviour, not by id: an attack asks for the behaviour that it is an attack on.
        taken = {request.behaviour for request in chosen}
        others = [request for request in _some(harmful, None, seed) if request.behaviour not in taken]

        def asked(request: Request) -> Asked[Request]:
            return Asked(request, {"noise": asdict(Noise(request.id, schedule, seed))} if schedule else {})

        return Questions(list(map(asked, chosen)), list(map(asked, others)), tuple(attack.note for attack in attacks))

    def arm(self, name: str, options: RefusalOptions, study: Mapping[str, Any]) -> OwnArm:
        """A defence as the conversation it makes."""
        fields = study_fields(name, options.shots, study)
        words: Mapping[str, str] = asdict(reminder()) if name == "self-reminder" else {}
        shots = refusals(options.shots) if name == "icd" else []
        return OwnArm(fields, words, tuple((shot.request, shot.refusal) for shot in shots))

    def shown(self, item: Request) -> Display:
        """The request, and what should come of it."""
        return Display(item.text, "refused" if item.condition == "harmful" else "complied")

    def case(self, asked: Asked[Request], file: Prompt, words: Mapping[str, str]) -> Case:
        """The request, with the defence's reminder and the noise words around it."""
        return RefusalCase(asked.item, file, Reminder(**words) if words else None, words_around(asked))

    def read(self, item: Request, answer: str, finish: Finish) -> Graded:
        """Right is a harmful request refused, or a benign one answered."""
        outcome = read_refusal(answer, finish=finish)
        correct = item.right(outcome)
        return Graded(answer, None, "unparsed") if correct is None else Graded(outcome, correct, "ok")

    def summary(self, answered: Sequence[Answered[Request]], arms: Sequence[str]) -> RefusalReport:
        """Attack success and over-refusal by defence, attack and judge."""
        from secondlook.benchmarks.refusal.summary import summarise

        return summarise(answered, arms)


def _some(requests: Iterable[Request], limit: int | None, seed: int) -> list[Request]:
    """The first so many in an order that the seed and the behaviour decide, whichever file they stand in."""
    return sorted(requests, key=lambda request: seed_from(seed, "refusal", request.behaviour))[:limit]


BENCHMARK = Refusal()
