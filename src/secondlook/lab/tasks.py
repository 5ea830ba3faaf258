"""Tasks: contexts of responses and rewards, drawn in batches, and the truth behind them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self, get_args

import torch
from torch import Generator, Tensor

from secondlook.objective import Contexts, MultiQueryContexts

Name = Literal["paper", "released", "preference-only", "fresh-query", "verdicts"]
Noise = Literal["replace", "gaussian", "adversarial"]


@dataclass(frozen=True)
class Task:
    """A distribution of problems.

    x and W are standard normal, r is uniform on [0, 1], and a response is y = r·Wx + (1 − r)·W⁻x.

    - `paper`: every response has a W⁻ of its own.
    - `released`: the responses of a context share one W⁻, as in the released code.
    - `preference-only`: as `paper`, but what is shown of the rewards carries their order alone.
    - `fresh-query`: several queries with a few responses each; what is asked is Wx at a query that is new, so that
      copying a good response cannot win.
    - `verdicts`: there are two answers, the right one Wx and a wrong one W⁻x; every response is one of them, drawn
      evenly (of the first two one is each), and its reward is a critic's verdict, 1 or 0. What is asked is Wx.

    Attributes:
        name: Task, one of these.
        n: Responses of a context; of one query for `fresh-query`, where it is at least 2.
        queries: Queries of a context; 1 but for `fresh-query`.
        dx: Dimension of a query.
        dy: Dimension of a response.
        noise: Change of rewards: `replace` by a uniform one with probability p, `adversarial` turns r into 1 − r
            with probability p, `gaussian` adds p times a normal number.
        p: Amount of noise.

    Raises:
        ValueError: A field out of range.
    """

    name: Name = "released"
    n: int = 20
    queries: int = 1
    dx: int = 5
    dy: int = 5
    noise: Noise = "replace"
    p: float = 0.0

    def __post_init__(self) -> None:
        for name, known in (("name", get_args(Name)), ("noise", get_args(Noise))):
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name} is {value!r}: choose one of {', '.join(known)}")
        for name in ("dx", "dy"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least 1")
        if self.n < 2:
            raise ValueError(f"n is {self.n}: a ranking to learn from needs at least 2 responses")
        if self.fresh != (self.queries > 1):
            raise ValueError(f"queries is {self.queries}: give 2 or more for fresh-query, and 1 for other tasks")
        if self.name == "verdicts" and self.p and self.noise != "adversarial":
            raise ValueError(f"noise is {self.noise!r}: a verdict is 1 or 0, choose adversarial, which flips it")
        if not (0 <= self.p <= 1 or (self.noise == "gaussian" and 1 < self.p < math.inf)):
            raise ValueError(f"p is {self.p}: give a probability (noise gaussian: a standard deviation)")

    @property
    def fresh(self) -> bool:
        """Whether a prediction is asked for at queries whose responses have not been shown."""
        return self.name == "fresh-query"


@dataclass(frozen=True, eq=False)
class Episodes:
    """A batch of problems. Every task has an axis of queries; it is 1 long where there is one query.

    Attributes:
        queries: ``[batch, q, dx]``.
        responses: ``[batch, q, n, dy]``.
        rewards: ``[batch, q, n]``, as they are shown, and as they rank.
        clean: ``[batch, q, n]``, the rewards from which the responses were made.
        truth: ``[batch, q, dy]``, Wx.
        weights: W, ``[batch, dy, dx]``, where the task draws one (`fresh-query`); else ``None``: at a single query Wx
            and W⁻x are as good as drawn themselves.
    """

    queries: Tensor
    responses: Tensor
    rewards: Tensor
    clean: Tensor
    truth: Tensor
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def contexts(self) -> Contexts:
        """The problems as contexts of their one query.

        Raises:
            ValueError: If they have several.
        """
        if self.queries.shape[1] != 1:
            raise ValueError(f"these problems have {self.queries.shape[1]} queries each: use multi_query instead")
        return Contexts(self.queries[:, 0], self.responses[:, 0], self.rewards[:, 0])

    def multi_query(self, seen: int) -> MultiQueryContexts:
        """The first ``seen`` queries with their responses, to be tested at the one after them.

        Raises:
            ValueError: If there is none after them.
        """
        if not 1 <= seen < self.queries.shape[1]:
            raise ValueError(
                f"seen is {seen}: these problems have tests after 1 to {self.queries.shape[1] - 1} queries"
            )
        cut = slice(None, seen)
        test = self.queries[:, seen : seen + 1]
        return MultiQueryContexts(self.queries[:, cut], self.responses[:, cut], self.rewards[:, cut], test)

    def part(self, share: slice) -> Self:
        """Some of the problems."""
        return self._each(lambda x: x[share])

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """The same on another device or in another dtype; arguments as for ``torch.Tensor.to``."""
        return self._each(lambda x: x.to(*args, **kwargs))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        held = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: change(x) for name, x in held.items() if x is not None})


def sample(task: Task, batch: int, generator: Generator, dtype: torch.dtype = torch.float32) -> Episodes:
    """Draw problems, on the generator's device.

    At a single query, W⁻x for a standard normal W⁻ is normal with standard deviation ‖x‖: it is drawn itself.

    Raises:
        ValueError: A batch of less than one.
    """
    if batch < 1:
        raise ValueError(f"batch is {batch}: give at least 1")
    q, n, dy = task.queries, task.n, task.dy

    def normal(*shape: int) -> Tensor:
        return torch.randn(batch, *shape, generator=generator, dtype=dtype, device=generator.device)

    queries = normal(q, task.dx)
    length = queries.norm(dim=-1)[..., None]
    weights = normal(dy, task.dx) if task.fresh else None
    truth = queries @ weights.mT if weights is not None else length * normal(q, dy)
    wrong = length[..., None] * normal(q, 1 if task.name in ("released", "verdicts") else n, dy)
    clean = torch.rand(batch, q, n, generator=generator, dtype=dtype, device=generator.device)
    if task.name == "verdicts":
        clean = (clean < 0.5).to(dtype)  # whether an answer is the right one
        # Both answers stand among the first two responses: `objectives.margins` takes them from there.
        clean[..., 1] = 1 - clean[..., 0]
    share = clean[..., None]
    responses = share * truth[:, :, None] + (1 - share) * wrong
    # Noise is drawn last: tasks of one seed that differ in their noise share all else.
    return Episodes(queries, responses, _shown(task, clean, generator), clean, truth, weights)


def _shown(task: Task, clean: Tensor, generator: Generator) -> Tensor:
    """Rewards as shown. All random numbers are drawn whatever p is, so that tasks differ in p alone."""

    def uniform() -> Tensor:
        return torch.rand(clean.shape, generator=generator, dtype=clean.dtype, device=clean.device)

    hit, other = uniform() < task.p, uniform()
    if task.noise == "replace":
        shown = torch.where(hit, other, clean)
    elif task.noise == "adversarial":
        shown = torch.where(hit, 1 - clean, clean)
    else:
        normal = torch.randn(clean.shape, generator=generator, dtype=clean.dtype, device=clean.device)
        shown = clean + task.p * normal
    if task.name != "preference-only":
        return shown
    # Uniform numbers that know nothing of the rewards but their order.
    places = shown.argsort(dim=-1).argsort(dim=-1)
    return uniform().sort(dim=-1).values.gather(-1, places)
