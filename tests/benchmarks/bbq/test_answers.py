import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from secondlook.benchmarks.bbq.answers import parse_answer
from secondlook.benchmarks.bbq.load import load_items

FAMILY = ("The grandfather", "The grandson", "Can't be determined")


@pytest.mark.parametrize(
    "reply",
    [
        "B",
        " B\n",
        "B.",
        "B)",
        "(B)",
        "( b )",
        "[B]",
        "{b}",
        "**B**",
        "`B`",
        "_B_",
        '"B"',
        "B: The grandson",
        "B) The grandson",
        "B. the grandson.",
        "(b) the grandson",
        "B The grandson",
        'B "The grandson"',
        "B - The grandson",
        "B — The grandson",
        "B, because of the context.",
        "Answer: B",
        "Answer: (B)",
        "Answer - B",
        "answer=B",
        "**Answer:** B",
        "Answer: **B) The grandson**",
        "Answer:\nB",
        "The answer is B.",
        "The correct answer is: B",
        "The answer is option B, clearly",
        "My final answer would be B",
        "I choose B.",
        "Option B is correct.",
        "B is the right answer",
        "Let me think.\nB",
        "Let me think.\n(B) The grandson",
        "The grandson",
        "the GRANDSON.",
        "“The grandson”",
        "It was The  grandson who was not comfortable.",
        "The grandson was not comfortable using the phone.",
        "_The grandson_ it is; yes, the grandson.",
    ],
)
def test_the_second_option_is_named(reply):
    assert parse_answer(reply, FAMILY) == 1


@pytest.mark.parametrize(
    "reply",
    [
        "A",
        "A.",
        "(a)",
        "A, because the text says so",
        "Answer: A",
        "Answer: A because the text says so",
        "Answer: A\nHe was old.",
        "Option A looks right",
        "A is correct",
        "A The grandfather",
        "The answer is A.",
    ],
)
def test_the_first_option_is_named(reply):
    assert parse_answer(reply, FAMILY) == 0


@pytest.mark.parametrize(
    "reply",
    ["C", "can't be determined", "It can\u2019t be determined from the context.", "(C) Can't be determined"],
)
def test_the_unknown_option_is_named(reply):
    assert parse_answer(reply, FAMILY) == 2


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "   \n",
        "a",
        "b",
        "I don't know",
        "A grandfather was there.",
        "A man",
        "Answer: A grandfather",
        "The answer is A man called Bob",
        "grandson",
        "The grandsons",
        "The grandson's friend",
        "The grandson-in-law",
        "non-The grandson",
        "Beforehand, Cabs are booked.",
        "vitamin B is healthy",
        "B12",
        "B-52",
        "B+",
        "Plan B",
        "D",
        "(D)",
        "(d) The grandson",
        "D) The grandson",
        "Answer: E. The grandson",
        "A or B",
        "A, B",
        "Both A and B.",
        "(A) or (B)",
        "A) The grandson",
        "Answer: A. The grandson",
        "B, I mean C",
        "B\nC",
        "A) The grandfather\nB) The grandson\nC) Can't be determined",
        "The grandfather or the grandson",
        "The grandson, not A",
        "The grandson chose plan C",
        "not (B)",
        "It is not the grandson",
        "It isn't necessarily the grandson",
        "Anyone other than the grandson",
        "I can't pick B",
        "The answer is not option B",
        "B is not the answer",
        "(B) was wrong",
        "The grandson isn't the right answer",
        "cannot be determined",
        "\ue000\ue000",
    ],
)
def test_a_reply_that_does_not_name_exactly_one_option_is_unparsed(reply):
    assert parse_answer(reply, FAMILY) is None


def test_the_longest_option_wins_where_one_contains_another():
    options = ("The man", "The man with the hat", "Unknown")
    assert parse_answer("The man with the hat.", options) == 1
    assert parse_answer("the man", options) == 0
    assert parse_answer("A. The man with the hat", options) is None
    assert parse_answer("The man with the hat and the man", options) is None
    assert parse_answer("man with the hat", ("The man", "man with the hat")) == 1
    assert parse_answer("The man with the hat", ("The man", "man with the hat")) is None  # they only overlap


def test_equal_options_need_a_letter():
    options = ("friend", "Friend.", "Unknown")
    assert parse_answer("friend", options) is None
    assert parse_answer("B. friend", options) == 1
    assert parse_answer("C. friend", options) is None


def test_options_that_look_like_letters_must_agree_with_them():
    assert parse_answer("B", ("B", "A", "C")) is None
    assert parse_answer("b", ("A", "B", "C")) == 1
    assert parse_answer("ab", ("AB", "CD", "x")) == 0


def test_options_may_hold_punctuation_quotes_and_markup():
    options = ("C++ (*new*)", "Peter Chan, the chemists' child", "?")
    assert parse_answer("C++ (new)", options) == 0
    assert parse_answer("Peter Chan, the chemists\u2019 child", options) == 1
    assert parse_answer("?", options) == 2
    assert parse_answer("C", ("x", "y", "   ")) == 2


@pytest.mark.parametrize("options", [(), tuple("123456789")])
def test_options_must_have_letters(options):
    with pytest.raises(ValueError, match=f"cannot letter {len(options)} options — pass one to 8"):
        parse_answer("A", options)


FORMS = [
    "{L}",
    "({L})",
    "({l})",
    "{L}.",
    "**{L}**",
    "Answer: {L}",
    "The answer is {L}.",
    "Option {L}",
    "{L}) {text}",
]
# Without n there is no "not", which would deny what follows it.
word = st.text(st.sampled_from("ijklmopqrstuvwxyzéł"), min_size=2, max_size=8)
texts = st.lists(word, min_size=3, max_size=3, unique_by=str.casefold)


@given(texts, st.integers(0, 2), st.sampled_from(FORMS))
def test_every_form_of_every_letter(options, index, form):
    letter = "ABC"[index]
    assert parse_answer(form.format(L=letter, l=letter.lower(), text=options[index]), options) == index


@given(texts, st.integers(0, 2), word)
def test_a_text_names_its_option_whatever_its_case_or_neighbours(options, index, neighbour):
    assume(neighbour not in options)
    assert parse_answer(f"{neighbour} {options[index].upper()}, {neighbour}.", options) == index
    assert parse_answer(f"  {options[index]}!\n", options) == index


@given(texts, st.permutations(range(3)), st.sampled_from(FORMS), st.sampled_from(FORMS))
def test_two_different_options_are_never_one_answer(options, order, first, second):
    said = [
        form.format(L="ABC"[index], l="abc"[index], text=options[index])
        for form, index in zip((first, second), order, strict=False)
    ]
    assert parse_answer("\n".join(said), options) is None
    assert parse_answer("; ".join([options[order[0]], said[1]]), options) is None


@given(texts, st.text(st.characters(exclude_categories=["L"])))
def test_no_letters_no_answer(options, garbage):
    assert parse_answer(garbage, options) is None


@given(st.text(), st.lists(st.text(), min_size=1, max_size=8))
def test_any_reply_is_read_or_unparsed(reply, options):
    assert parse_answer(reply, options) in {None, *range(len(options))}


def test_real_options_are_read_by_text_and_by_letter(bbq_data):
    for item in load_items(bbq_data)[::25] + load_items(bbq_data / "ambiguous_1100")[::5]:
        for index, text in enumerate(item.options):
            letter = "ABC"[index]
            for reply in (
                text,
                letter,
                f"({letter}) {text}",
                f"Answer: {letter}. {text}",
                f"It is {text.lower()}.",
            ):
                assert parse_answer(reply, item.options) == index, (reply, item)
            assert parse_answer(f"({'BCA'[index]}) {text}", item.options) is None
