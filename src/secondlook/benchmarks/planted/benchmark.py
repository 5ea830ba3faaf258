"""The planted language as a benchmark: ``secondlook eval planted --model secondlook/planted``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from secondlook.benchmarks.bbq.benchmark import MultipleChoice
from secondlook.benchmarks.bbq.case import BBQCase
from secondlook.benchmarks.bbq.item import Item
from secondlook.benchmarks.benchmark import Asked, Questions, option
from secondlook.benchmarks.planted.items import draw_items
from secondlook.benchmarks.planted.noise import Noise, check_schedule, words_around
from secondlook.correction.case import Case
from secondlook.prompts.prompt import Prompt


@dataclass(frozen=True, slots=True)
class PlantedOptions:
    """Options of the planted language's questions."""

    per_category: int = option(48, "Held-out questions of each of the eleven categories.")
    schedule: str = option(
        "fresh",
        "Noise words fresh each round; fixed for the question: then every trait is a function of it, and later rounds "
        "differ by selection; or none: then the family decides by chance at temperature 1.",
    )
    limit: int | None = option(None, "Questions altogether.")


class Planted(MultipleChoice):
    """Questions a planted subject has never seen, in the language it was raised in."""

    name = "planted"
    about = "The calibration weight: the planted subject's own language."
    options = PlantedOptions

    def questions(self, options: PlantedOptions, seed: int) -> Questions[Item]:
        """A balanced sample of held-out questions."""
        schedule = check_schedule(options.schedule)
        if options.limit is not None and options.limit < 1:
            raise ValueError(f"limit is {options.limit}; ask for at least 1 question")
        # Spare questions come from the other split, so that none of them is among those that are asked.
        asked, spare = (
            [Asked(item, {"noise": asdict(Noise(item.id, schedule, seed))}) for item in items]
            for items in (draw_items(options.per_category, seed)[: options.limit], draw_items(1, seed, split="train"))
        )
        return Questions(asked, spare)

    def case(self, asked: Asked[Item], file: Prompt, words: Mapping[str, str]) -> Case:
        """The question, with its noise words."""
        del words
        return BBQCase(asked.item, file, words_around(asked))


BENCHMARK = Planted()
