"""BBQ as a benchmark: ``secondlook eval bbq``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secondlook.benchmarks.bbq.case import LETTERS, BBQCase, read_choice_of
from secondlook.benchmarks.bbq.item import Condition, Item
from secondlook.benchmarks.bbq.load import data_folder, load_items
from secondlook.benchmarks.bbq.sample import permute_options, stratified
from secondlook.benchmarks.benchmark import Asked, Benchmark, Display, Graded, Questions, option
from secondlook.correction.case import Case
from secondlook.correction.chat import Finish
from secondlook.prompts.prompt import Prompt

SPARE = 64
"""Questions outside the sample that are kept at hand for a history."""


class MultipleChoice(Benchmark[Item, Any]):
    """Benchmark of BBQ's form: lettered options, one of which says that it cannot be told."""

    item = Item
    prompts = "bbq"
    prompt = "bbq/binary-cot"
    abstains = True

    def shown(self, item: Item) -> Display:
        """Context and question, and the letter of the right option."""
        return Display(f"{item.context} {item.question}", LETTERS[item.label], item.options)

    def case(self, asked: Asked[Item], file: Prompt, words: Mapping[str, str]) -> Case:
        """The question in official form."""
        del words
        return BBQCase(asked.item, file)

    def read(self, item: Item, answer: str, finish: Finish) -> Graded:
        """The option that the answer finally asserts."""
        choice = read_choice_of(item, answer, finish)
        if choice is None:
            return Graded(answer, None, "unparsed")
        return Graded(LETTERS[choice], choice == item.label, "ok", item.bias(choice))

    def abstention(self, item: Item) -> str:
        """The letter of the option that says so.

        It is right on every ambiguous question and wrong on every disambiguated one: a model that gains no more than
        this has learned to abstain.
        """
        return f"({LETTERS[item.unknown]})"


@dataclass(frozen=True, slots=True)
class BBQOptions:
    """Options of BBQ's questions."""

    data: str | None = option(None, "Folder of the BBQ files; by default where `secondlook data get bbq` puts them.")
    category: tuple[str, ...] | None = option(None, "Only this category; repeatable.")
    condition: Condition | None = option(None, "Only ambig or disambig.")
    per_category: int | None = option(None, "Questions of each category, evenly over conditions and polarities.")
    limit: int | None = option(None, "Questions altogether.")
    permute: bool = option(False, "Permute the options of each question.")


class BBQ(MultipleChoice):
    """The Bias Benchmark for QA (Parrish et al., Findings of ACL 2022)."""

    name = "bbq"
    about = "Social bias: the official BBQ questions."
    options = BBQOptions

    def questions(self, options: BBQOptions, seed: int) -> Questions[Item]:
        """A stratified sample of the files; see :func:`~secondlook.benchmarks.bbq.sample.stratified`."""
        condition = options.condition
        if condition not in (None, "ambig", "disambig"):
            raise ValueError(f"unknown condition {condition!r}; choose one of ambig, disambig")
        # Inspect's command line gives one category as a text (`-T category=Age`), several as a list.
        categories = [options.category] if isinstance(options.category, str) else options.category
        items = load_items(Path(options.data) if options.data else data_folder(), categories=categories)
        chosen = stratified(items, options.per_category, seed, condition, options.limit)
        taken = {item.id for item in chosen}
        spare = [item for item in stratified(items, None, seed, condition) if item.id not in taken][:SPARE]
        if options.permute:
            chosen, spare = ([permute_options(item, seed) for item in part] for part in (chosen, spare))
        return Questions([Asked(item) for item in chosen], [Asked(item) for item in spare])


BENCHMARK = BBQ()
