"""Linear probes of the residual stream after every block (L9): does it hold a running estimate?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn.functional import layer_norm, normalize

from secondlook.lab.behaviour import Mean, Shown
from secondlook.lab.rules import CONTROLS, GradientDescent, at_prefixes, latest_response

_RIDGES = torch.logspace(-6, 2, 9, dtype=torch.float64)
_CONTEXTS = 8


@dataclass(frozen=True, eq=False)
class Probe:
    """Quality of a linear reading of a quantity.

    Attributes:
        r2: R² on contexts that the probe was not fitted to, [blocks + 1], with its standard error; 0 is no better than
            always guessing the mean, and less than 0 worse.
        shuffled: The same when the quantity is another context's, after as many responses: a control.
        ridge: Strength of the penalty that was chosen, [blocks + 1], for standardised features.
    """

    r2: Mean
    shuffled: Mean
    ridge: Tensor


def estimates(shown: Shown, descent: GradientDescent, steps: Iterable[int], truth: Tensor) -> dict[str, Tensor]:
    """Candidates for a running estimate, as vectors of length 1, [batch, p, dy].

    Most of these point in much the same direction. An iterate is read in its own right only where its R² is above the
    R² of the controls, or if `probe` is given what is left of it: its difference from the start.

    Args:
        shown: Gives the contexts and prefixes.
        descent: Whose iterates are wanted.
        steps: Which of its iterates.
        truth: Wx, [batch, dy].

    Returns:
        `truth`, the controls, `latest response`, and `descent k` for every k.
    """
    contexts, seen = shown.contexts, shown.seen
    path = descent.path(contexts, seen)
    found = {"truth": truth[:, None].expand_as(path[0])}
    found |= {name: at_prefixes(rule, contexts, seen) for name, rule in CONTROLS.items()}
    found["latest response"] = at_prefixes(latest_response, contexts, seen)
    found |= {f"descent {k}": path[k] for k in steps}
    return {name: normalize(vectors, dim=-1) for name, vectors in found.items()}


def probe(shown: Shown, targets: Mapping[str, Tensor], generator: Generator) -> dict[str, Probe]:
    """Read quantities from the residual stream by ridge regression, at every token where the model is read.

    One map is fitted for all prefixes together, on half of the contexts; a quarter of these chooses the strength of the
    penalty first. The stream is taken as what follows reads it: normalised, where the transformer normalises.

    Args:
        shown: A transformer, on at least 8 contexts; hundreds are wanted.
        targets: The quantities, each [batch, p, d].
        generator: Splits the contexts, and shuffles them for the control. On the CPU.

    Raises:
        ValueError: Too few contexts, or a target that does not fit or does not vary.
    """
    batch, p = len(shown.tokens), len(shown.positions)
    if batch < _CONTEXTS:
        raise ValueError(f"{batch} contexts cannot be split to fit, to choose and to test: give at least {_CONTEXTS}")
    for name, target in targets.items():
        if target.ndim != 3 or target.shape[:2] != (batch, p):
            raise ValueError(f"target {name!r} has shape {list(target.shape)}: give [{batch}, {p}, d]")
        if (target == target[:1, :1]).all():
            raise ValueError(f"target {name!r} is the same everywhere: there is nothing to read")
    order, shuffle = (torch.randperm(batch, generator=generator).to(shown.tokens.device) for _ in range(2))
    widths = [target.shape[-1] for target in targets.values()] * 2  # of the targets, and of these shuffled
    y = torch.cat([*targets.values(), *(target[shuffle] for target in targets.values())], dim=-1).double()[order]
    found = [_read(stream[order], y, widths) for stream in _streams(shown)]
    r2, error, ridge = (torch.stack(part) for part in zip(*found, strict=True))
    half = len(targets)
    return {
        name: Probe(Mean(r2[:, k], error[:, k]), Mean(r2[:, half + k], error[:, half + k]), ridge[:, k])
        for k, name in enumerate(targets)
    }


def _streams(shown: Shown) -> list[Tensor]:
    """The residual stream at the tokens that are read, [batch, p, width] in float64, after every block."""
    streams = [stream[:, shown.positions].double() for stream in shown.trace.residual]
    return [layer_norm(stream, stream.shape[-1:]) for stream in streams] if shown.model.config.norm else streams


def _read(x: Tensor, y: Tensor, widths: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """R² of every target, its standard error, and the strength of the penalty, each [targets]."""
    half = len(x) // 2
    inner = half - half // 4
    tried = _square(y[inner:half], _fitted(x[:inner], y[:inner], x[inner:half]), widths).sum(1)
    chosen = tried.argmin(0)
    wrong = _square(y[half:], _fitted(x[:half], y[:half], x[half:]), widths)
    wrong = wrong.take_along_dim(chosen[None, None], 0)[0]
    spread = _square(y[half:], y[half:].mean((0, 1)), widths)
    rest = wrong.mean(0) / spread.mean(0)
    # The standard error of a ratio of means, to first order.
    error = (wrong - rest * spread).std(0) / (spread.mean(0) * len(wrong) ** 0.5)
    return 1 - rest, error, _RIDGES.to(chosen.device)[chosen]


def _fitted(x: Tensor, y: Tensor, new: Tensor) -> Tensor:
    """Ridge regression of y on x at every strength, applied to others: [ridges, batch, p, columns]."""
    x, y = x.flatten(0, 1), y.flatten(0, 1)
    centre, spread, middle = x.mean(0), x.std(0), y.mean(0)
    # A feature that does not vary becomes 0: divided by its own spread it would be rounding at full size.
    spread = torch.where(spread > 1e-9 * spread.max(), spread, torch.inf)
    x, new = (x - centre) / spread, (new - centre) / spread
    # One decomposition serves every strength of the penalty.
    values, axes = torch.linalg.eigh(x.mT @ x / len(x))
    along = axes.mT @ (x.mT @ (y - middle) / len(x))
    shrunk = along / (values.clamp_min(0) + _RIDGES.to(x.device)[:, None])[..., None]
    made: Tensor = (new @ axes) @ shrunk[:, None] + middle
    return made


def _square(y: Tensor, made: Tensor, widths: list[int]) -> Tensor:
    """Squared error of every context and target, summed over prefixes and columns: [..., batch, targets]."""
    parts = torch.split((y - made).square().sum(-2), widths, dim=-1)
    return torch.stack([part.sum(-1) for part in parts], dim=-1)
