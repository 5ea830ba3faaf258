"""First weights of a transformer, drawn from a generator, as GPT-2 draws them or as torch does."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Generator, Tensor, nn

Initial = Literal["gpt2", "gpt2-inside", "torch"]
_STD = 0.02
_WRITES = ("attention.out.weight", "feedforward.down.weight")


@torch.no_grad()
def initialise(model: nn.Module, depth: int, initial: Initial, generator: Generator | None) -> None:
    """Draw all weights of a transformer anew.

    Gains of normalisation are left at one.

    Args:
        model: With maps `read_in`, `read_out`, and perhaps `positions`.
        depth: Its blocks.
        initial: `gpt2`: normal with standard deviation 0.02, the maps that write to the stream divided by √(2·depth),
            biases zero. `torch`: every linear map, and its bias, uniform on ±1/√(its inputs), as `nn.Linear` does;
            positions standard normal, as `nn.Embedding` does. `gpt2-inside`: maps into and out of the stream as
            `torch`, all else as `gpt2`: the base of the paper's released code.
        generator: Source of the numbers.
    """
    shrink = 1 / math.sqrt(2 * depth)
    for name, weights in model.named_parameters():
        if weights.ndim < 2:
            continue  # biases, and the gains of normalisation
        by_torch = initial == "torch" or (initial == "gpt2-inside" and name.startswith("read_"))
        if not by_torch:
            weights.normal_(std=_STD * (shrink if name.endswith(_WRITES) else 1), generator=generator)
        elif name == "positions":
            weights.normal_(generator=generator)
        else:
            _uniform(weights, weights.shape[1], generator)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and module.bias is not None:
            if initial == "torch" or (initial == "gpt2-inside" and name.startswith("read_")):
                _uniform(module.bias, module.in_features, generator)
            else:
                module.bias.zero_()


def _uniform(weights: Tensor, inputs: int, generator: Generator | None) -> None:
    bound = 1 / math.sqrt(inputs)
    weights.uniform_(-bound, bound, generator=generator)
