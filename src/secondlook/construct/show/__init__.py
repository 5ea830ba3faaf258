"""Seeing a construction work: one page that steps through its blocks beside the gradient it is to follow."""

from secondlook.construct.show.exhibits import EXHIBITS
from secondlook.construct.show.page import render

__all__ = ["EXHIBITS", "render"]
