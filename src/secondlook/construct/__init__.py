"""Transformers written by hand whose forward pass is a gradient step on an alignment loss.

A construction is built for a promise about its contexts, and is an ordinary transformer: a configuration and a state
dict. ``residual`` names the residual stream's coordinates, ``weights`` turns sentences about them into matrices,
``attention_heads`` and ``units`` are the vocabulary, and each result has a file that reads as its proof sketch.
"""

from secondlook.construct.construction import Construction
from secondlook.construct.promise import Promise

__all__ = ["Construction", "Promise"]
