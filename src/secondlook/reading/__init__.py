"""Reading: what a reply finally says, or nothing; the same for every benchmark, driver, gateway and grader.

A reply goes through stages. Its reasoning is set aside (``reasoning``); its typography and markup are undone
(``plain``); what it mentions is found (``mentions``); each mention is asserted, denied or open (``stance``,
``standings``; by ``words``); and what is asserted last and most firmly is read (``settle``). A misreading is worse than
no reading.
"""

from secondlook.reading.answers import choice_letter, lettered_options, read_answer, read_choice
from secondlook.reading.mentions import unknown_option
from secondlook.reading.numbers import parse_number, read_number
from secondlook.reading.numerals import Number
from secondlook.reading.reasoning import Spoken, set_aside_reasoning
from secondlook.reading.refusals import Outcome, read_refusal
from secondlook.reading.scores import read_score
from secondlook.reading.settle import Reading
from secondlook.reading.texts import read_exact, same_text
from secondlook.reading.verdicts import read_verdict

__all__ = [
    "Number",
    "Outcome",
    "Reading",
    "Spoken",
    "choice_letter",
    "lettered_options",
    "parse_number",
    "read_answer",
    "read_choice",
    "read_exact",
    "read_number",
    "read_refusal",
    "read_score",
    "read_verdict",
    "same_text",
    "set_aside_reasoning",
    "unknown_option",
]
