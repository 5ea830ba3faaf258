"""Tokens hold what they say, and a prediction is read where it has seen what it is judged on, and no more."""

from dataclasses import replace

import pytest
import torch
from torch import Generator

from secondlook.lab.tasks import Task, sample
from secondlook.lab.tokens import inputs, length, reads, tokens

LAYOUTS = ("merged", "interleaved", "shared")
TASKS = [Task("paper", n=5, dx=3, dy=2), Task("fresh-query", n=3, queries=4, dx=2, dy=3)]
both = pytest.mark.parametrize("layout", LAYOUTS)
every = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


def draw(task):
    return sample(task, 2, Generator().manual_seed(0))


def written_out(task, layout, x, y, r):
    """Rows of one problem, by hand."""
    rows, dx, dy = [], task.dx, task.dy
    for q in range(task.queries):
        xq = x[q].tolist()
        if layout == "merged" and task.name == "fresh-query":
            rows.append([*xq, *[0] * dy, 0, 1])
        for i in range(task.n):
            yi, ri = y[q, i].tolist(), r[q, i].item()
            if layout == "merged":
                rows.append([*xq, *yi, ri, 0])
            elif layout == "shared":
                rows += [part + [0] * (max(dx, dy) - len(part)) for part in (xq, yi, [ri])]
            else:
                rows.append([*xq, *[0] * dy, 0, 1, 0, 0])
                rows.append([*[0] * dx, *yi, 0, 0, 1, 0])
                rows.append([*[0] * dx, *[0] * dy, ri, 0, 0, 1])
    return torch.tensor(rows)


@every
@both
def test_tokens_hold_x_y_and_r(task, layout):
    episodes = draw(task)
    found = tokens(episodes, layout)
    assert found.shape == (2, length(task, layout), inputs(task, layout))
    for number in range(2):
        of = (tensor[number] for tensor in (episodes.queries, episodes.responses, episodes.rewards))
        assert torch.equal(found[number], written_out(task, layout, *of))


@pytest.mark.parametrize(
    ("task", "layout", "at", "seen"),
    [
        (TASKS[0], "merged", [1, 2, 3, 4], [2, 3, 4, 5]),
        (TASKS[0], "interleaved", [6, 9, 12], [2, 3, 4]),
        (TASKS[1], "merged", [4, 8, 12], [1, 2, 3]),
        (TASKS[1], "interleaved", [9, 18, 27], [1, 2, 3]),
    ],
)
def test_where_predictions_are_read(task, layout, at, seen):
    assert reads(task, layout) == (at, seen)


def changed(episodes, queries, numbers, names):
    """The same with other responses or rewards of these numbers, to these queries."""
    new = {name: getattr(episodes, name).clone() for name in names}
    for tensor in new.values():
        tensor[:, queries, numbers] += 1
    return replace(episodes, **new)


@every
@both
def test_what_is_not_seen_yet_cannot_be_known(task, layout):
    """A causal model reads tokens up to the read, and there is nothing in them of what comes after."""
    episodes = draw(task)
    plain = tokens(episodes, layout)
    for at, seen in zip(*reads(task, layout), strict=True):
        where = (slice(seen, None), slice(None)) if task.fresh else (slice(None), slice(seen, None))
        other = tokens(changed(episodes, *where, ["responses", "rewards"]), layout)
        assert torch.equal(other[:, : at + 1], plain[:, : at + 1])
        last = where[0 if task.fresh else 1].start == (task.queries if task.fresh else task.n)
        assert torch.equal(other, plain) == last
