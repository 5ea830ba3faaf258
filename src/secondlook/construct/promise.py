"""Promise that a construction is built for, and the temperatures that follow from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor

from secondlook.objective import Contexts, MultiQueryContexts

_PRECISIONS = (torch.float64, torch.float32, torch.bfloat16)
# Flags made by ReLU units are exact where they are 0, and may be off by a quarter where they are 1 (bfloat16).
_FLAG = 2.0


@dataclass(frozen=True)
class Promise:
    """The contexts for which a construction makes its step, and how exact it can be.

    Attributes:
        n: Responses of a context; constructions that work on every prefix take up to n.
        d: Width of a response.
        eta: Step size η.
        steps: Gradient steps K.
        min_gap: Least distance Δ of two rewards of a context.
        max_norm: Greatest ‖x‖, ‖y‖ and ‖W₀x‖.
        max_reward: Greatest |r|.
        dtype: Precision of weights and tokens.
        sharpness: β·Δ, the gap of two rewards after multiplication by the inverse temperature β; by default so large
            that what softmax leaves to the wrong response is lost in the rounding of ``dtype``.
        queries: Queries that one context may hold (T4).
        max_coherence: Greatest |cosine| of two different queries (T4).

    Raises:
        ValueError: A promise that nobody can keep.
    """

    n: int
    d: int
    eta: float = 0.1
    steps: int = 1
    min_gap: float = 1e-3
    max_norm: float = 1.0
    max_reward: float = 1.0
    dtype: torch.dtype = torch.float64
    sharpness: float | None = None
    queries: int = 1
    max_coherence: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (("n", 2), ("d", 1), ("steps", 1), ("queries", 1)):
            value = getattr(self, name)
            whole = isinstance(value, Integral)
            if not whole:
                raise ValueError(f"{name} is {value!r}; give a whole number")
            if value < least:
                raise ValueError(f"{name} is {value}; a ranking to learn from needs at least {least}")
        for name in ("eta", "min_gap", "max_norm", "max_reward"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} is {getattr(self, name)}; give a positive number")
        if self.sharpness is not None and not 0 < self.sharpness < math.inf:
            raise ValueError(f"sharpness is {self.sharpness}; give a positive number, or leave it out")
        if not 0 <= self.max_coherence < 1:
            raise ValueError(f"max_coherence is {self.max_coherence}; give a cosine from 0 to below 1")
        if self.dtype not in _PRECISIONS:
            known = ", ".join(map(str, _PRECISIONS))
            raise ValueError(f"dtype is {self.dtype}; give a floating-point one with room for scores: {known}")
        if self.min_gap < self.resolvable:
            raise ValueError(
                f"min_gap {self.min_gap:g} is below {self.resolvable:.3g}, the least that {self.dtype} tells apart "
                f"among rewards up to {self.max_reward:g}; raise min_gap, lower max_reward or take a wider dtype"
            )
        if (self.n - 1) * self.min_gap > 2 * self.max_reward:
            raise ValueError(
                f"{self.n} rewards at least {self.min_gap:g} apart do not fit between ±{self.max_reward:g}; "
                "lower min_gap or raise max_reward"
            )
        if not self._largest <= torch.finfo(self.dtype).max:
            raise ValueError(
                f"max_norm {self.max_norm:g}, max_reward {self.max_reward:g}, eta {self.eta:g} and a sharpness of "
                f"{self.reward_sharpness:.3g} make numbers up to {self._largest:.3g}, beyond {self.dtype}; lower them"
            )

    @property
    def _largest(self) -> float:
        """More than any number of a forward pass: sums of scores, T8's sums over responses, and what heads carry."""
        # 4: T5 lifts a token by 2(C + range) < 3C, as the range is below C/2.
        scores = 4 * (self.hide_reward + self.hide_score) + self.match_reward + self.match_score
        # Products, here and below: a power that overflows raises, a product is inf, and the promise is refused.
        carried = 2 * (1 + self.eta) * self.max_norm * self.max_norm * (self.max_norm + self.max_prediction)
        return 4 * self.n * self.queries * (scores + carried + self.max_reward)

    @property
    def roundoff(self) -> float:
        """Unit roundoff u of the precision."""
        return torch.finfo(self.dtype).eps / 2

    @property
    def resolvable(self) -> float:
        """The least gap that rounding of the rewards, and of one comparison, cannot close."""
        # Rounding takes up to 6uβR off the distance of two scores. At a gap of 16uR that leaves 5/8 of βΔ (T9).
        return 16 * self.roundoff * self.max_reward

    @property
    def silence(self) -> float:
        """Distance of scores beyond which all tokens of a context together get less than a rounding: log(nQ/u)."""
        return math.log(self.n * self.queries / self.roundoff)

    @property
    def beta(self) -> float:
        """Inverse temperature β of the heads that rank by reward."""
        return self.reward_sharpness / self.min_gap

    @property
    def reward_sharpness(self) -> float:
        """β·Δ: at least ``silence``, and more by the factor with which ``hide_score`` would amplify a leak."""
        return self.silence + math.log(self.hide_score) if self.sharpness is None else self.sharpness

    @property
    def max_prediction(self) -> float:
        """Greatest ‖f‖ at the start of a step: each of Q queries moves it by at most 4η‖x‖²(N−1)·max‖y‖ a step."""
        step = 4 * self.eta * self.queries * self.max_norm * self.max_norm * (self.n - 1) * self.max_norm
        return self.max_norm + (self.steps - 1) * step

    @property
    def min_score(self) -> float:
        """The lowest 2f·y − ‖y‖² there can be."""
        return -(2 * self.max_prediction + self.max_norm) * self.max_norm

    @property
    def score_range(self) -> float:
        """The highest 2f·y − ‖y‖² there can be, less the lowest."""
        return 2 * self.max_prediction * self.max_norm - self.min_score

    @property
    def reward_range(self) -> float:
        """The highest β·r there can be, less the lowest."""
        return 2 * self.beta * self.max_reward

    @property
    def hide_reward(self) -> float:
        """Constant C_r, subtracted from β·r: it hides a token from a ranking, below a sink that itself is out."""
        return _FLAG * (self.reward_range + 2 * self.silence)

    @property
    def hide_score(self) -> float:
        """Constant C_s, subtracted from 2f·y − ‖y‖²: it hides a token from an average, below a sink that is out."""
        return _FLAG * (self.score_range + 2 * self.silence)

    @property
    def match_reward(self) -> float:
        """Factor of ⟨x̂, x̂'⟩ that takes other queries out of a ranking."""
        return (self.reward_range + self.silence) / (1 - self.max_coherence)

    @property
    def match_score(self) -> float:
        """Factor of ⟨x̂, x̂'⟩ that takes other queries out of an average."""
        return (self.score_range + self.silence) / (1 - self.max_coherence)

    def check(
        self, contexts: Contexts | MultiQueryContexts, start: Tensor, *, fewer: bool = False, ties: bool = False
    ) -> None:
        """Refuse what the construction was not built for.

        Args:
            contexts: Queries, responses and rewards; coherence is not looked at.
            start: W₀ [batch, d, dx].
            fewer: Whether fewer than n responses are welcome.
            ties: Whether equal rewards are.

        Raises:
            ValueError: Which value is outside the promise, and what to do.
        """
        several = contexts.as_multi_query() if isinstance(contexts, Contexts) else contexts
        batch, _, n, d = several.responses.shape
        self._check_size(n, d, fewer=fewer)
        if start.shape != (expected := (batch, d, several.queries.shape[-1])):
            raise ValueError(f"start has shape {list(start.shape)}, expected [batch, dy, dx] = {list(expected)}")
        queries = torch.cat([several.queries, several.test], dim=1)
        prediction = queries.double() @ start.double().mT
        for name, vectors in {"query": queries, "response": several.responses, "prediction": prediction}.items():
            longest = vectors.double().norm(dim=-1).max().item()
            # A vector of exactly the promised norm may be rounded above it. `not … <=` refuses nan, too.
            if not longest <= self.max_norm * (1 + 4 * self.roundoff):
                raise ValueError(
                    f"a {name} has norm {longest:.6g}, this construction was built for at most max_norm="
                    f"{self.max_norm:g}; scale the data or build one with a larger max_norm"
                )
        self.check_rewards(several.rewards, ties=ties)

    def _check_size(self, n: int, d: int, *, fewer: bool) -> None:
        if d != self.d:
            raise ValueError(f"responses have width {d}, this construction was built for d={self.d}; build one for {d}")
        if n > self.n or (n < self.n and not fewer):
            wanted = f"up to {self.n}" if fewer else f"{self.n}"
            raise ValueError(
                f"contexts have {n} responses, this construction was built for {wanted}; build one for {n}"
            )

    def check_rewards(self, rewards: Tensor, *, ties: bool = False) -> None:
        """Refuse rewards [..., n] that are too large, or nearer to each other than promised; equal ones if no ties.

        Raises:
            ValueError: Which, and what to do.
        """
        largest = rewards.abs().max().item()
        if not largest <= self.max_reward:
            raise ValueError(
                f"a reward is {largest:.6g} in size, this construction was built for at most max_reward="
                f"{self.max_reward:g}; rescale the rewards or build one with a larger max_reward"
            )
        if rewards.shape[-1] < 2:
            return
        gaps = rewards.double().sort(dim=-1).values.diff(dim=-1)
        if ties:
            gaps = gaps[gaps > 0]
        gap = gaps.min().item() if gaps.numel() else math.inf
        # Rewards a promised gap apart may be rounded towards each other.
        if gap < self.min_gap - 4 * self.roundoff * self.max_reward:
            raise ValueError(
                f"two rewards are {gap:.3g} apart, this construction was built for min_gap={self.min_gap:g}; "
                "break ties in the rewards or build one with a smaller min_gap"
            )
