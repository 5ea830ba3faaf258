"""The stages by themselves, and what must hold of all: linear time, and the same reading whatever the typography."""

import gc
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replies_said import FAMILY, VERDICTS, said

from secondlook.reading import (
    Spoken,
    read_answer,
    read_choice,
    read_exact,
    read_number,
    read_refusal,
    read_score,
    read_verdict,
    set_aside_reasoning,
)
from secondlook.reading.plain import plain, spelled_out

READERS = {
    "answer": lambda reply: read_answer(reply, FAMILY, question="Who was not comfortable using the phone?"),
    "choice": read_choice,
    "verdict": lambda reply: read_verdict(reply, VERDICTS["bbq/binary-cot"]),
    "score": lambda reply: read_score(reply, "Score:", 0, 10),
    "number": read_number,
    "exact": read_exact,
    "refusal": read_refusal,
}


@pytest.mark.parametrize(
    ("reply", "spoken"),
    [
        ("C", Spoken("C")),
        ("<think>A?</think>C", Spoken("C", "A?")),
        ("A?</think>C", Spoken("C", "A?")),
        ("<think>A?", Spoken("", "A?", True)),
        ("C<think>A?", Spoken("C", "A?", True)),
        ("<think>A?</think>B<think>C?</think>D", Spoken("BD", "A?\nC?")),
        ("<think>A<think>B</think>C", Spoken("C", "A\nB")),
        ("<THINKING>A?</THINKING>C", Spoken("C", "A?")),
        ("[THINK]A?[/THINK]C", Spoken("C", "A?")),
        ("\u25c1think\u25b7A?\u25c1/think\u25b7C", Spoken("C", "A?")),
        ("<|begin_of_thought|>A?<|end_of_thought|>C", Spoken("C", "A?")),
        ("a < b > c [1]", Spoken("a < b > c [1]")),
    ],
)
def test_reasoning_is_set_aside(reply, spoken):
    assert set_aside_reasoning(reply) == spoken
    apart = set_aside_reasoning(reply, "B?")
    assert (apart.text, apart.thought) == (spoken.text, "\n".join(["B?", spoken.thought]).strip())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("**a** _b_ `c` ***d***", "a b c d"),
        ("snake_case __init__", "snake_case init"),
        ("# Title\n- a\n1. b\n> c", "Title\na\nb\nc"),
        ("\u201ca\u201d \u2018b\u2019 \u00abc\u00bb", '"a" \'b\' "c"'),
        ("\uff08\uff23\uff09 \U0001d402 \u24b8", "(C) C C"),
        ("a\u200bb\ufeff", "ab"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("$x = \\frac{1}{2}$", "x = 1/2"),
        ("\\text{a} \\mathbf{b}", "{a} {b}"),
        ("\\boxed{C}", "boxed: {C}"),
        ("<answer>C</answer>", "boxed: C"),
        ("so\n#### C", "so\nboxed: C"),
        ("<h2>Answer</h2>C<HR>D<pre>e</pre>f", "Answer\nC\nD\ne\nf"),
        ("a<table><tr><th>b</th><td>c</td></tr></table>", "a\n\n\nb\n\nc"),
        ("a<ol><li>b</li></ol><ul>c</ul>d", "a\n\nb\n\n\nc\nd"),
        ("<b>a</b><i>b</i><u>c</u><em>d</em><strong>e</strong><span>f</span><sup>g</sup><code>h</code>", "abcdefgh"),
        ("~~A~~ C", "C"),
        ("| a | b |\n|---|---|\n| c | d |", "a: b\n\nc: d"),
        ("```json\nx\n```", "x"),
        ("10\u00b3 \u00bd", "10^3 1/2"),
        ("3 * 4", "3 \u00d7 4"),
        ("$5", "$5"),
    ],
)
def test_text_is_made_plain(text, words):
    assert plain(text) == words


def test_contractions_are_spelled_out():
    assert spelled_out("It can't be. I'm sure it isn't; you're right, we'd won't.") == (
        "It cannot be. I am sure it is not; you are right, we would will not."
    )
    assert spelled_out("the chemist's want, Grant's plant") == "the chemist's want, Grant's plant"


@given(st.sampled_from([line["reply"] for line in said("answers")]))
def test_typography_changes_no_reading(reply):
    expected = read_answer(reply, FAMILY).value
    for other in (
        reply.replace("\n", "\r\n"),
        f"\n\n{reply}\n",
        reply.replace("'", "\u2019"),
        "\u200b" + reply.replace(" ", "\u00a0"),
    ):
        assert read_answer(other, FAMILY).value == expected


@given(st.sampled_from(sorted(READERS)), st.text(st.characters(exclude_characters="<[\u25c1")))
def test_what_is_thought_is_never_read(kind, thought):
    reader = READERS[kind]
    assert reader(f"<think>{thought}</think>") == reader("")
    assert reader(f"<think>{thought}</think>Answer: C. Verdict: biased. Score: 7") == reader(
        "Answer: C. Verdict: biased. Score: 7"
    )


HOSTILE = (
    *(
        "(",
        "{",
        "A ",
        "(A) ",
        "*",
        "_",
        "<",
        "<think>",
        "\\boxed{",
        "|",
        "Answer: ",
        "1 ",
        "1,",
        "not ",
        "The grandson ",
    ),
    *("I cannot ", "biased ", "\ufdfa", "a", " ", "\n", "Wait, ", "=", "'", "1/"),
)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(READERS)), st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=3).map("".join))
def test_hostile_replies_take_linear_time(kind, unit):
    def seconds(size):
        reply = (unit * (size // len(unit) + 1))[:size]
        # A full collection takes half a second where earlier tests have left much in memory.
        gc.disable()
        try:
            start = time.process_time()
            READERS[kind](reply)
            return time.process_time() - start
        finally:
            gc.enable()

    small, large = (min(seconds(size) for _ in range(2)) for size in (20_000, 160_000))
    # Eight times as much; quadratic time would be sixty-four times as long.
    assert large < 24 * small + 0.2
