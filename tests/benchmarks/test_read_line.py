"""`secondlook read` shows what the harness, the graders and the judges would read."""

import json

import pytest

from command import secondlook

FAMILY = ["The grandfather", "The grandson", "Can't be determined"]


@pytest.mark.parametrize(
    ("line", "read", "grade"),
    [
        ({"kind": "answer", "reply": "Neither (A) nor (B), so (C).", "options": FAMILY, "answer": "C"}, "C", True),
        ({"kind": "answer", "reply": "It was the grandfather, who", "finish": "length", "options": FAMILY}, None, ...),
        ({"kind": "answer", "reply": "Cannot be determined.", "options": FAMILY, "answer": "A"}, "C", False),
        ({"kind": "answer", "reply": "It is (B).", "options": FAMILY, "answer": "(b)"}, "B", True),
        ({"kind": "verdict", "reply": "The verdict is: biased", "prompt": "bbq/binary-cot"}, "wrong", ...),
        ({"kind": "verdict", "reply": "It is too early to say Verdict: unbiased."}, None, ...),
        ({"kind": "score", "reply": "Score: 7", "prompt": "bbq/numeric"}, 7, ...),
        ({"kind": "number", "reply": "The answer is 82 + 89 = 171.", "answer": 171}, "171", True),
        ({"kind": "number", "reply": "1/2", "answer": "0.5"}, "0.5", True),
        ({"kind": "exact", "reply": "71", "answer": 71.0}, "71", True),
        # A separator of lines to Python, and none to JSON.
        ({"kind": "exact", "reply": "71\u2028 or so\u0085", "answer": 71}, "71 or so", False),
        ({"kind": "choice", "reply": "<think>A?</think> The answer is B.", "answer": "B"}, "B", True),
        ({"kind": "refusal", "reply": "That's not something I can help with."}, "refused", ...),
    ],
)
def test_a_line_comes_back_with_what_is_read(tmp_path, line, read, grade):
    (tmp_path / "replies.jsonl").write_text(json.dumps(line, ensure_ascii=False) + "\n\n", "utf-8")
    done = secondlook("read", tmp_path / "replies.jsonl")
    assert done.code == 0, done.err
    assert json.loads(done.out) == {**line, "read": read} | ({} if grade is ... else {"grade": grade})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"kind": "poem", "reply": "x"}', "kind is 'poem'; give one of answer, verdict"),
        ('{"kind": "answer", "reply": "x"}', "options is None; give the option texts"),
        ('{"kind": "answer", "reply": "B", "options": ["x", "y"], "question": 5}', "question is 5; give it as text"),
        ('{"kind": "exact", "reply": "*", "answer": "**"}', "answer is '**', which no reply can match as exact"),
        ('{"kind": "choice", "reply": "B", "answer": 1}', "answer is 1, which no reply can match as choice"),
        ('{"kind": "verdict", "reply": "x", "prompt": "bbq/none"}', "unknown prompt 'bbq/none'"),
        ("[1]", "is a list, not an object"),
        ("{", "Expecting property name"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path, text, said):
    (tmp_path / "replies.jsonl").write_text("\n" + text)
    error = secondlook("read", tmp_path / "replies.jsonl").error
    assert f"replies.jsonl:2: {said}" in error
