"""Does a trained transformer behave like descent (L9)? What it predicts, block by block, and what moves its prediction.

Everything is said of a `Shown`: a transformer on contexts of one query, trained (`show`) or written by hand. What it is
compared with are `Rule`s: other ways to make a prediction of a context, `GradientDescent` among them. The comparison
of predictions and of their sensitivities follows von Oswald et al., "Transformers learn in-context by gradient
descent" (ICML 2023), §3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize

from secondlook.lab.rules import GradientDescent, Rule
from secondlook.lab.tasks import Episodes
from secondlook.lab.tokens import reads, tokens
from secondlook.lab.train import Trained
from secondlook.objective import Contexts, Reward
from secondlook.transformer import Trace, Transformer


@dataclass(frozen=True, eq=False)
class Mean:
    """A mean over contexts, with its standard error; both of any shape."""

    mean: Tensor
    error: Tensor

    @classmethod
    def of(cls, values: Tensor) -> Self:
        """Mean of values [contexts, ...]."""
        return cls(values.mean(0), values.std(0) / len(values) ** 0.5)


@dataclass(frozen=True, eq=False)
class Shown:
    """A transformer that is shown contexts of one query.

    Attributes:
        model: The transformer.
        tokens: What it is shown, [batch, tokens, inputs].
        contexts: The same, as contexts.
        positions: Tokens at which it is read; p of them. Each holds the last response seen there.
        seen: How many responses the model has seen at each.
        first: The token that holds the first response.
        reward: How the model's loss measured the distance of prediction and response.
        base: What is added to a read-out to make a prediction, [batch, dy]: W₀x for constructions, which read out ΔWx.
    """

    model: Transformer
    tokens: Tensor
    contexts: Contexts
    positions: Sequence[int]
    seen: Sequence[int]
    first: int = 0
    reward: Reward = "squared"
    base: Tensor | None = None

    @cached_property
    def trace(self) -> Trace:
        """The forward pass, without a graph."""
        with torch.no_grad():
            return self.model.trace(self.tokens)


def show(trained: Trained, episodes: Episodes) -> Shown:
    """Show problems to a trained transformer, to be read where it was judged.

    Raises:
        ValueError: It reads other tokens than merged ones, or has a task of several queries.
    """
    run = trained.run
    _check(trained)
    positions, seen = reads(run.task, "merged")
    # All other objectives measure squared distances.
    reward: Reward = "cosine" if run.objective == "pl-cosine" else "squared"
    return Shown(trained.model(), tokens(episodes, "merged"), episodes.contexts, positions, seen, reward=reward)


def untrained(trained: Trained) -> Trained:
    """The same run before its first step: a control."""
    run = trained.run
    # The same draw as in `train.Ensemble`.
    first = Transformer(run.shape.transformer(run.task), Generator().manual_seed(run.seed))
    return Trained(run, {name: weight.detach() for name, weight in first.state_dict().items()})


def as_rule(trained: Trained) -> Rule:
    """Rule of a trained transformer: its prediction after the last response of its contexts.

    Raises:
        ValueError: As `show`.
    """
    _check(trained)
    model = trained.model()

    def predict(contexts: Contexts) -> Tensor:
        queries, responses, rewards = (x[:, None] for x in (contexts.query, contexts.responses, contexts.rewards))
        problems = Episodes(queries, responses, rewards, clean=rewards, truth=queries)  # the last two are not shown
        prediction: Tensor = model(tokens(problems, "merged"))[:, -1]
        return prediction

    return predict


def readouts(shown: Shown) -> Tensor:
    """Predictions [blocks + 1, batch, p, dy] from the residual stream after the read-in and after every block.

    The last normalisation and the read-out are applied to each, as if the blocks that follow added nothing ("logit
    lens"). The last of them is the prediction that is judged.
    """
    model = shown.model
    with torch.no_grad():
        found = torch.stack(
            [model.read_out(model.norm_out(stream[:, shown.positions])) for stream in shown.trace.residual]
        )
    return found if shown.base is None else found + shown.base[:, None]


@dataclass(frozen=True, eq=False)
class Agreement:
    """Agreement of the predictions after every block with iterates, in direction.

    Attributes:
        cosine: [blocks + 1, steps + 1], mean over prefixes and contexts.
        best: The number of steps with the greatest cosine, [blocks + 1]; of equals the least.
    """

    cosine: Mean
    best: Tensor


def agreement(model: Tensor, descent: Tensor) -> Agreement:
    """Compare two paths of predictions.

    Args:
        model: [blocks + 1, batch, p, dy], from `readouts`.
        descent: [steps + 1, batch, p, dy], from `GradientDescent.path`; or other predictions to compare with.
    """
    # Over prefixes first: the standard error counts contexts, as prefixes of one context are not independent.
    cosine = torch.einsum("lbpy,kbpy->blk", _unit(model), _unit(descent)) / model.shape[2]
    found = Mean.of(cosine)
    return Agreement(found, found.mean.argmax(-1))


def closest(
    rule: Rule, contexts: Contexts, candidates: Sequence[GradientDescent], *, unit: bool = True
) -> GradientDescent:
    """The descent, of all candidates and all numbers of steps up to theirs, that predicts most nearly the same.

    Choose on other contexts than those on which the two are compared.

    Args:
        rule: What is to be matched.
        contexts: On whose whole they are matched, by the mean distance of predictions.
        candidates: For example, descents at several rates.
        unit: Whether predictions are compared at length 1, as is right for the cosine reward.
    """
    with torch.no_grad():
        wanted = rule(contexts)
    fit = _unit if unit else _as_is
    tried = [
        ((fit(path[:, :, 0]) - fit(wanted)).norm(dim=-1).mean(-1), candidate)
        for candidate in candidates
        for path in [candidate.path(contexts, [contexts.n])]
    ]
    # A path begins with its start, so that an index in it is a number of steps.
    distance, best = min(tried, key=lambda one: one[0].min().item())
    return replace(best, steps=int(distance.argmin()))


def jacobian(rule: Rule, contexts: Contexts, *, unit: bool = True) -> tuple[Tensor, Tensor]:
    """A rule's predictions and their sensitivity to every response.

    A context's prediction depends on that context alone, so that one backward pass serves the whole batch.

    Args:
        rule: The rule.
        contexts: All of each is read; give `contexts.prefix(k)` for a prefix.
        unit: Whether predictions are brought to length 1 first.

    Returns:
        f [batch, dy] and ∂f/∂y [batch, dy (of f), n, dy].
    """
    responses = contexts.responses.detach().clone().requires_grad_()
    with torch.enable_grad():
        f = rule(replace(contexts, responses=responses))
        f = _unit(f) if unit else f
    # A rule that looks at no response has no graph.
    if not f.requires_grad:
        return f, responses.new_zeros(*f.shape, *responses.shape[1:])
    rows = [
        torch.autograd.grad(component.sum(), responses, retain_graph=True, materialize_grads=True)[0]
        for component in f.unbind(-1)
    ]
    return f.detach(), torch.stack(rows, dim=1)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Comparison of rules, each with each.

    Attributes:
        names: The rules, m of them.
        distance: ‖f − g‖, [m, m]; of predictions of length 1 at most 2, and √2 if they have nothing in common.
        alignment: Cosine of the Jacobians of f and g, flattened, [m, m]; 0 where one of them is 0.
    """

    names: tuple[str, ...]
    distance: Mean
    alignment: Mean

    def between(self, one: str, other: str) -> tuple[float, float]:
        """Mean distance and alignment of two."""
        at = self.names.index(one), self.names.index(other)
        return self.distance.mean[at].item(), self.alignment.mean[at].item()


def compare(rules: Mapping[str, Rule], contexts: Contexts, *, unit: bool = True) -> Comparison:
    """Compare predictions and sensitivities of rules, for example a model, `closest` to it, `CONTROLS`, `untrained`.

    What a control has in common with descent is as telling as what the model has: an alignment says something only
    where the controls do not reach it.

    Args:
        rules: By name.
        contexts: See `jacobian`; memory is batch · n · dy² numbers for each rule.
        unit: Whether predictions are brought to length 1 first.
    """
    found = [jacobian(rule, contexts, unit=unit) for rule in rules.values()]
    predictions = torch.stack([f for f, _ in found], dim=1)
    slopes = _unit(torch.stack([slope.flatten(1) for _, slope in found], dim=1))
    distance = (predictions[:, :, None] - predictions[:, None]).norm(dim=-1)
    return Comparison(tuple(rules), Mean.of(distance), Mean.of(slopes @ slopes.mT))


def _unit(vectors: Tensor) -> Tensor:
    # The default eps of 1e-12 would leave shorter vectors shorter than 1.
    return normalize(vectors, dim=-1, eps=torch.finfo(vectors.dtype).tiny)


def _as_is(vectors: Tensor) -> Tensor:
    return vectors


def _check(trained: Trained) -> None:
    task, layout = trained.run.task, trained.run.shape.layout
    if task.fresh or layout != "merged":
        raise ValueError(
            f"a {task.name} model of {layout} tokens: behaviour is read of one query and merged tokens only"
        )
