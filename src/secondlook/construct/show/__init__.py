"""Seeing a construction work: one page that steps through its blocks beside the gradient it is to follow."""

from secondlook.construct.show.exhibits import EXHIBITS
from secondlook.construct.show.page import named, render
from secondlook.construct.show.verdict_page import NAME as VERDICTS

__all__ = ["EXHIBITS", "VERDICTS", "named", "render"]
