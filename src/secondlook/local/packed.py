"""Linear maps whose weights are laid out once, as a processor's products read them, and not anew for every product.

A decoding step multiplies a few rows by every weight, so that laying the weights out takes longer than the products:
oneDNN, which torch brings, keeps them laid out (bench/real.py measures what that gains).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_ROWS = 16
"""Rows of a product that the layout is chosen for: of those that were tried, the best over all numbers of rows."""
# torch's compiler emits these two, and torch has no public name for them: where one is missing, nothing is packed.
_LAYOUT, _PRODUCT = "_reorder_linear_weight", "_linear_pointwise"


class PackedLinear(nn.Module):
    """A linear map for inference alone: it gives what the map it was made from gives, up to the rounding of sums.

    Args:
        linear: The map, in float32 on a processor.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        # Attributes and no parameters: the layout is opaque, and nothing but a product can read it.
        self._packed: Tensor = getattr(torch.ops.mkldnn, _LAYOUT)(linear.weight.detach(), _ROWS)
        self._bias = None if linear.bias is None else linear.bias.detach()
        self._product = getattr(torch.ops.mkldnn, _PRODUCT)

    def forward(self, x: Tensor) -> Tensor:
        """The map of x [..., inputs]: [..., outputs]."""
        mapped: Tensor = self._product(x, self._packed, self._bias, "none", [], "")
        return mapped


def pack(model: nn.Module) -> int:
    """Replace a model's linear maps by packed ones, each as it stands, and say how many.

    Those that are not in float32 on a processor stay, and all do where torch was built without oneDNN: the model is
    slower then, and its replies are the same.
    """
    known = all(hasattr(torch.ops.mkldnn, name) for name in (_LAYOUT, _PRODUCT))
    if not known or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return 0
    found = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        # No subclass: it may do more than multiply.
        if type(child) is nn.Linear and child.weight.device.type == "cpu" and child.weight.dtype is torch.float32
    ]
    for parent, name, child in found:
        setattr(parent, name, PackedLinear(child))
    return len(found)
