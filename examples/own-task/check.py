"""The critic: a tool that adds. It reads one answer on standard input and prints its critique, with a verdict.

It takes the numbers out of the question, since a gateway has the question and no row of a table. What is no addition of
two numbers it cannot judge: it abstains, and the answer stands.
"""

import json
import re
import sys

exam = json.load(sys.stdin)  # sample, round, query, answer; of an evaluation also row: all columns but the answer
asked = re.search(r"(\d+) \+ (\d+)", exam["query"])
said = re.findall(r"-?\d+", exam["answer"])
if asked is None:
    print("abstain")
elif said and int(said[-1]) == sum(map(int, asked.groups())):
    print("Added up anew, this is the sum.\nVerdict: correct")
else:
    print("Added up anew, the sum is another.\nVerdict: wrong")
