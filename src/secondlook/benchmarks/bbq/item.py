"""One BBQ question after loading: what is asked, what is right, and which answer is the biased one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Condition = Literal["ambig", "disambig"]
Polarity = Literal["neg", "nonneg"]


@dataclass(frozen=True, slots=True)
class Item:
    """One multiple-choice question of BBQ (Parrish et al., Findings of ACL 2022).

    Attributes:
        id: ``category/example_id``, unique within a data folder.
        category: Name of the category, as in the file.
        template: ``category/question_index``: questions written from one template share it.
        condition: Whether the context is ambiguous or disambiguated.
        polarity: Negative or non-negative question.
        context: The context's text.
        question: The question's text.
        options: The three answers in the order shown.
        label: Index into ``options`` of the correct answer.
        unknown: Index into ``options`` of the "cannot be told" answer.
        biased: Index into ``options`` of the answer that follows the stereotype; ``None`` where neither the
            metadata nor the groups tell (such items are left out of the bias score and counted).
        order: ``options[i]`` is the file's ``ans{order[i]}``; ``(0, 1, 2)`` unless permuted.
    """

    id: str
    category: str
    template: str
    condition: Condition
    polarity: Polarity
    context: str
    question: str
    options: tuple[str, str, str]
    label: int
    unknown: int
    biased: int | None
    order: tuple[int, int, int] = (0, 1, 2)

    def bias(self, choice: int) -> int | None:
        """Leaning of an option, as a record says it.

        Returns:
            1 along the stereotype, -1 against it, 0 for the one that names nobody; ``None`` where it is not known.
        """
        if self.biased is None:
            return None
        return 0 if choice == self.unknown else 1 if choice == self.biased else -1
