"""Tokens that show a problem to a transformer, one a triplet or three, and the places where predictions are read."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from secondlook.lab.tasks import Episodes, Task

Layout = Literal["merged", "interleaved", "shared"]


def inputs(task: Task, layout: Layout) -> int:
    """Features of a token."""
    if layout == "shared":
        return max(task.dx, task.dy)
    # Beside x and y the reward, and one mark (merged) or one of three kinds (interleaved).
    return task.dx + task.dy + (2 if layout == "merged" else 4)


def length(task: Task, layout: Layout) -> int:
    """Tokens of a problem."""
    # A fresh query needs a merged token of its own, before its responses; a triplet begins with x anyway.
    per_query = task.n + task.fresh if layout == "merged" else 3 * task.n
    return task.queries * per_query


def reads(task: Task, layout: Layout) -> tuple[list[int], list[int]]:
    """Tokens where a prediction is read and judged, and how much has been seen there.

    What is counted is responses, from 2 on, or, for `fresh-query`, queries with all their responses, from 1 on.
    A merged token has its response in it; of the three of a triplet the prediction is read at the query, which comes
    before the response, as in the paper.
    """
    if task.fresh:
        per_query = length(task, layout) // task.queries
        seen = list(range(1, task.queries))
        # The first token of query k shows x alone, in every layout.
        return [per_query * k for k in seen], seen
    if layout == "merged":
        seen = list(range(2, task.n + 1))
        return [k - 1 for k in seen], seen
    # Up to n − 1: no query stands after the last triplet.
    seen = list(range(2, task.n))
    return [3 * k for k in seen], seen


def tokens(episodes: Episodes, layout: Layout) -> Tensor:
    """Problems as tokens ``[batch, tokens, inputs]``, which hold x, y, r and what kind of token it is.

    Merged: (x, y, r, 0), and for `fresh-query` before every query's responses (x, 0, 0, 1).
    Interleaved: (x, 0, 0), (0, y, 0), (0, 0, r), each with its kind, one-hot.
    Shared, as in the released code: x, y and r, each from the first feature on, so that nothing but its position tells
    a token's kind.
    """
    y, r = episodes.responses, episodes.rewards[..., None]
    x = episodes.queries[:, :, None].expand(*y.shape[:-1], -1)
    if layout == "merged":
        rows = torch.cat([x, y, r, torch.zeros_like(r)], dim=-1)
        if rows.shape[1] > 1:
            asked = torch.zeros_like(rows[:, :, :1])
            asked[..., : x.shape[-1]], asked[..., -1] = x[:, :, :1], 1
            rows = torch.cat([asked, rows], dim=2)
        return rows.flatten(1, 2)
    dx, dy = x.shape[-1], y.shape[-1]
    if layout == "shared":
        triplet = y.new_zeros(*y.shape[:-1], 3, max(dx, dy))
        triplet[..., 0, :dx], triplet[..., 1, :dy], triplet[..., 2, :1] = x, y, r
        return triplet.flatten(1, 3)
    triplet = y.new_zeros(*y.shape[:-1], 3, dx + dy + 4)
    triplet[..., 0, :dx], triplet[..., 1, dx:-4], triplet[..., 2, -4:-3] = x, y, r
    triplet[..., -3:] = torch.eye(3, dtype=y.dtype, device=y.device)
    return triplet.flatten(1, 3)
