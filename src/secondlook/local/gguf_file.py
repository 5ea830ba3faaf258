"""A GGUF file as transformers loads it, but read once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import gguf
from transformers import modeling_gguf_pytorch_utils as loader

_LOADING = threading.Lock()
"""Held while a file is loaded: of two at once, the second would take the first one's functions for the package's."""


@contextmanager
def read_once() -> Iterator[None]:
    """While a checkpoint is loaded, read its GGUF file once.

    transformers (5.x) reads the file for the tokenizer, the configuration and the weights each anew, and makes a table
    of all tensors' names for each module: two thirds of the time that SmolLM2-135M takes. It imports both functions of
    the package gguf as it calls them, so that what stands there meanwhile is what it calls.
    """
    names = ("GGUFReader", "get_tensor_name_map")
    with _LOADING:
        own, bars = {name: getattr(gguf, name) for name in names}, loader.tqdm
        for name, function in own.items():
            setattr(gguf, name, cache(function))
        loader.tqdm = lambda tensors, **_: tensors  # a bar would stand between the user and the answer
        try:
            yield
        finally:
            for name, function in own.items():
                setattr(gguf, name, function)
            loader.tqdm = bars
