"""Several arms side by side: what each critic said of the very same first answers, and at what cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from secondlook.diagnosis.clusters import Array
from secondlook.diagnosis.columns import SILENT, critique_tokens, rounds, tokens, verdicts
from secondlook.fitting.examined import Examined, Verdicts, answered, arms, mean_tokens

Panel = Mapping[str, pd.DataFrame]

_ORACLE = "oracle"


def panel(records: pd.DataFrame, of: Examined) -> Panel:
    """Each arm's first answers to the same questions, row by row beside ``of``, with a column ``same``.

    ``same`` says whether the arm gave the very answer that ``of`` has. Without a column ``answer`` answers count as the
    same if both are right or both are not.

    Raises:
        ValueError: If an arm has two first answers to a question.
    """
    matches = {}
    name = "answer" if "answer" in of.rows else "correct"
    mine = of.rows[name].astype(object)
    for arm, rows in arms(records).items():
        first = rows[(rounds(rows["round"]) == 0) & answered(rows)].set_index("sample")
        if first.index.has_duplicates:
            double = first.index[first.index.duplicated()][0]
            raise ValueError(f"arm {arm!r} has two first answers to {double!r}; name an arm for each run")
        match = first.reindex(of.rows["sample"].to_numpy()).reset_index()
        theirs = match[name].astype(object)
        # `correct` may be a nullable boolean, and NA compared with anything is NA.
        both = match["round"].notna() & ((mine == theirs) | (mine.isna() & theirs.isna())).fillna(False).astype(bool)
        matches[arm] = match.assign(same=both.to_numpy(bool))
    return matches


def said(of_arms: Panel) -> dict[str, Verdicts]:
    """Verdicts of each critic on these answers, an index into ``columns.VERDICTS``.

    Silent critics are left out, and so is the oracle, with noise or without: it has its verdicts from the truth.
    """
    found = {}
    for arm, match in of_arms.items():
        # An arm's name may hold its critic's, as in noisy(0.1, oracle).
        if _ORACLE in arm or ("critic" in match and match["critic"].astype(str).str.contains(_ORACLE).any()):
            continue
        verdict = np.where(match["same"], verdicts(match["verdict"]), SILENT)
        if (verdict != SILENT).any():
            found[arm] = verdict.astype(np.int8)
    return found


def agreement(of_arms: Panel, of: Examined) -> Array | None:
    """Share of the other arms' first answers that are the same as this one; ``None`` if all always are."""
    others = [match for arm, match in of_arms.items() if arm != of.arm]
    if not others:
        return None
    asked = np.sum([match["round"].notna() for match in others], axis=0)
    same = np.sum([match["same"] for match in others], axis=0)
    return None if (same == asked).all() else np.divide(same, asked, out=np.full(len(of), np.nan), where=asked > 0)


def cost(of_arms: Panel, critics: Sequence[str]) -> float | None:
    """Tokens per answer of the first answer and these critics' critiques of it; ``None`` if not on record.

    The answer counts once. Where ``tokens_critique`` does not say what of an arm's tokens its critique took, an arm
    without a critic shows what the answer alone takes; where there is none either, it counts with every critic, and the
    cost is too high by that.
    """
    means, alone = dict[str, float | None](), dict[str, float | None]()
    for arm, match in of_arms.items():
        rows = match[match["round"].notna()]
        means[arm] = mean_tokens(spent := tokens(rows))
        alone[arm] = mean_tokens(spent - critique_tokens(rows, spent))
    # A control that asks nobody spends nothing, and tells nothing of what an answer takes.
    silent = [means[arm] for arm, match in of_arms.items() if not match["verdict"].notna().any() and means[arm]]
    answer = next((part for part in (*silent, *alone.values()) if part is not None), 0.0)
    if not critics:
        return answer or None
    whole, answers = ([part for arm in critics if (part := of[arm]) is not None] for of in (means, alone))
    if len(whole) < len(critics):
        return None
    if len(answers) == len(critics):
        return sum(answers) / len(answers) + sum(whole) - sum(answers)
    return sum(whole) - (len(critics) - 1) * answer
