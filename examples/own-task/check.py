"""The critic: a tool that adds. It reads one answer on standard input and prints its critique, with a verdict."""

import json
import re
import sys

exam = json.load(sys.stdin)  # sample, round, query, answer, and row: all columns of the question but its answer
said = re.findall(r"-?\d+", exam["answer"])
total = exam["row"]["a"] + exam["row"]["b"]
if said and int(said[-1]) == total:
    print("Added up anew, this is the sum.\nVerdict: correct")
else:
    print("Added up anew, the sum is another.\nVerdict: wrong")
