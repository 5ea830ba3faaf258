"""One-line errors for tensors whose shapes do not fit together."""

from __future__ import annotations

from torch import Tensor


def check_shapes(**expected: tuple[Tensor, str]) -> dict[str, int]:
    """Match tensors against named axes; one name means one size, of at least 1.

    Args:
        **expected: Every tensor by its name, with its axes: ``rewards=(rewards, "batch n")``. A first axis ``...``
            stands for any number of axes, the same for all that have it.

    Returns:
        The size of every named axis.

    Raises:
        ValueError: If a tensor has other axes than expected, an axis is empty, or two tensors differ in one.
    """
    sizes: dict[str, int] = {}
    leading: tuple[str, tuple[int, ...]] | None = None
    for name, (tensor, axes) in expected.items():
        names, shape = axes.split(), tuple(tensor.shape)
        remedy = f"{name} has shape {shape}: give [{', '.join(names)}]"
        if names[0] == "...":
            names = names[1:]
            split = len(shape) - len(names)
            head, shape = shape[: max(split, 0)], shape[max(split, 0) :]
            leading = leading or (name, head)
            if split < 0 or head != leading[1]:
                raise ValueError(f"{remedy}, with the leading axes of {leading[0]}, {leading[1]}")
        if len(shape) != len(names):
            raise ValueError(remedy)
        for axis, size in zip(names, shape, strict=True):
            if size < 1 or sizes.setdefault(axis, size) != size:
                raise ValueError(f"{remedy} with {axis} = {sizes.get(axis, '1 or more')}, not {size}")
    return sizes


def check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raise a ``ValueError`` that lists what is known if ``value`` is not among it."""
    if value not in known:
        raise ValueError(f"{name} is {value!r}: choose one of {', '.join(known)}")
