"""Contexts: queries, responses to them, and the rewards that criticise the responses."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

from torch import Tensor

from secondlook.objective.checks import check_shapes


# eq=False: comparing fields would ask a whole tensor whether it is true, which torch refuses.
@dataclass(frozen=True, eq=False)
class _Tensors:
    """A frozen record of tensors that agree in shape, dtype and device, and hold finite numbers only, or ValueError."""

    def _check(self, **axes: str) -> None:
        given = {name: getattr(self, name) for name in axes}
        check_shapes(**{name: (tensor, axes[name]) for name, tensor in given.items()})
        first, kind = next(iter(given.items()))
        if not kind.is_floating_point():
            raise ValueError(f"{first} is {kind.dtype}: give floating point numbers, for example {first}.float()")
        for name, tensor in given.items():
            if (tensor.dtype, tensor.device) != (kind.dtype, kind.device):
                raise ValueError(
                    f"{name} is {tensor.dtype} on {tensor.device}: expected {kind.dtype} on {kind.device} as {first} "
                    f"is, use {name}.to({first})"
                )
        for name, tensor in given.items():
            if not tensor.isfinite().all():
                at = (~tensor.isfinite()).nonzero()[0].tolist()
                raise ValueError(
                    f"{name} holds {float(tensor[tuple(at)])} at {at}: give finite numbers, or leave that context out"
                )

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """The same on another device or in another dtype; arguments as for ``torch.Tensor.to``."""
        return replace(self, **{field.name: getattr(self, field.name).to(*args, **kwargs) for field in fields(self)})


@dataclass(frozen=True, eq=False)
class Contexts(_Tensors):
    """A batch of contexts with one query each: n responses to it, and a reward for each.

    Attributes:
        query: ``[batch, dx]``.
        responses: ``[batch, n, dy]``, in the order in which they were given.
        rewards: ``[batch, n]``; more is better, and only their order counts.

    Raises:
        ValueError: If shapes, dtypes or devices disagree, or a number is not finite.
    """

    query: Tensor
    responses: Tensor
    rewards: Tensor

    def __post_init__(self) -> None:
        self._check(query="batch dx", responses="batch n dy", rewards="batch n")

    @property
    def batch(self) -> int:
        """Number of contexts."""
        return self.rewards.shape[0]

    @property
    def n(self) -> int:
        """Number of responses in a context."""
        return self.rewards.shape[1]

    @property
    def dx(self) -> int:
        """Dimension of a query."""
        return self.query.shape[1]

    @property
    def dy(self) -> int:
        """Dimension of a response."""
        return self.responses.shape[2]

    def prefix(self, n: int) -> Contexts:
        """The same contexts after their first ``n`` responses.

        Raises:
            ValueError: If there are not so many.
        """
        if not 1 <= n <= self.n:
            raise ValueError(f"n is {n}: these contexts have prefixes of 1 to {self.n} responses")
        return Contexts(self.query, self.responses[:, :n], self.rewards[:, :n])

    def as_multi_query(self) -> MultiQueryContexts:
        """The same as contexts of one query (q = 1), which is also the one to be tested at (t = 1)."""
        query = self.query[:, None]
        return MultiQueryContexts(query, self.responses[:, None], self.rewards[:, None], query)


@dataclass(frozen=True, eq=False)
class MultiQueryContexts(_Tensors):
    """A batch of contexts with q queries each (T4), n responses to every query, and a reward for each response.

    Attributes:
        queries: ``[batch, q, dx]``.
        responses: ``[batch, q, n, dy]``.
        rewards: ``[batch, q, n]``; compared within a query only.
        test: ``[batch, t, dx]``, the queries at which W is read; may be ``queries``.

    Raises:
        ValueError: If shapes, dtypes or devices disagree, or a number is not finite.
    """

    queries: Tensor
    responses: Tensor
    rewards: Tensor
    test: Tensor

    def __post_init__(self) -> None:
        self._check(queries="batch q dx", responses="batch q n dy", rewards="batch q n", test="batch t dx")


@dataclass(frozen=True, eq=False)
class JudgedContexts(_Tensors):
    """A batch of contexts of one query whose n answers a critic has judged, round after round (T12).

    Attributes:
        query: ``[batch, dx]``.
        responses: ``[batch, n, dy]``.
        verdicts: ``[batch, n, rounds]``; more is better, equal ones leave it open. The answers with the most are
            *accepted*: of 0/1 verdicts those that were called right, or all, if all were called the same.

    Raises:
        ValueError: If shapes, dtypes or devices disagree, or a number is not finite.
    """

    query: Tensor
    responses: Tensor
    verdicts: Tensor

    def __post_init__(self) -> None:
        self._check(query="batch dx", responses="batch n dy", verdicts="batch n rounds")

    def round(self, number: int) -> Contexts:
        """One round, counted from 0, with its verdicts for rewards."""
        return Contexts(self.query, self.responses, self.verdicts[..., number])
