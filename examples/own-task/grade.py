"""The grader: whether the number in an answer is the sum. None says that an answer cannot be read."""

import re


def grade(answer, row):
    numbers = re.findall(r"-?\d+", answer)
    return int(numbers[-1]) == row["answer"] if numbers else None
