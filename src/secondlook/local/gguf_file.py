"""A GGUF file as transformers loads it, but taken apart once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import gguf
import numpy as np
from transformers import modeling_gguf_pytorch_utils as loader

_LOADING = threading.Lock()
"""Held while a file is loaded: of two at once, the second would take the first one's functions for the package's."""


@contextmanager
def read_once() -> Iterator[None]:
    """While a checkpoint is loaded, take its GGUF file apart once.

    transformers (5.x) makes the package's reader for the tokenizer, the configuration and the weights each anew, makes
    text of the whole vocabulary each time, and a table of all tensors' names for each module: two thirds of the time
    that SmolLM2-135M takes. It looks these functions up as it calls them, so that what stands there meanwhile is what
    it calls. A function that a version lacks is passed over: that costs time, and nothing else.
    """
    instead: tuple[tuple[Any, str, Callable[[Any], Any]], ...] = (
        (gguf, "GGUFReader", lambda reader: cache(_on_an_array(reader))),
        (gguf, "get_tensor_name_map", cache),
        (loader, "_gguf_parse_value", _once_a_part),
        # A bar would stand between the user and the answer.
        (loader, "tqdm", lambda _: lambda tensors, **_: tensors),
    )
    with _LOADING:
        own = [(module, name, wrap, getattr(module, name)) for module, name, wrap in instead if hasattr(module, name)]
        try:
            for module, name, wrap, function in own:
                setattr(module, name, wrap(function))
            yield
        finally:
            for module, name, _, function in own:
                setattr(module, name, function)


def _on_an_array(reader: type) -> type:
    """A reader of plain arrays: of ``numpy.memmap`` each of the vocabulary's slices takes three times as long."""

    def set_data(self: Any, mapped: Any) -> None:
        self.__dict__["data"] = mapped.view(np.ndarray)

    return type(reader.__name__, (reader,), {"data": property(lambda self: self.__dict__["data"], set_data)})


def _once_a_part(parse: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A parser that remembers the value of each part of a file by its address, and holds the part: it stays its own."""
    known: dict[int, tuple[Any, Any]] = {}

    def parsed(part: Any, kinds: Any) -> Any:
        if id(part) not in known:
            known[id(part)] = part, parse(part, kinds)
        return known[id(part)][1]

    return parsed
