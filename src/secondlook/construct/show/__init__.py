"""Seeing a construction work: one page that steps through its blocks beside its gradient, or T12's page of sliders."""

from secondlook.construct.show.exhibits import EXHIBITS
from secondlook.construct.show.page import named, render
from secondlook.construct.show.verdict_page import NAME as VERDICTS

__all__ = ["EXHIBITS", "VERDICTS", "named", "render"]
