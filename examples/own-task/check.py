"""The critic: a tool that adds. It reads one answer on standard input and prints its critique, with a verdict.

It takes the numbers out of the question, since a gateway has the question and no row of a table.
"""

import json
import re
import sys

exam = json.load(sys.stdin)  # sample, round, query, answer; of an evaluation also row: all columns but the answer
a, b = map(int, re.findall(r"\d+", exam["query"])[:2])
said = re.findall(r"-?\d+", exam["answer"])
if said and int(said[-1]) == a + b:
    print("Added up anew, this is the sum.\nVerdict: correct")
else:
    print("Added up anew, the sum is another.\nVerdict: wrong")
