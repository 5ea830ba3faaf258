import pytest
from echo_case import HISTORY, assistant, user

from secondlook.correction import Plan


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "selfie"}, "variant is 'selfie': choose one of self, diverse, self-instruct, resample"),
        ({"stop": "never"}, "stop is 'never': choose one of fixed, satisfied, gate"),
        ({"rounds": -1}, "rounds is -1: give 0 or more second looks"),
        ({"max_tokens": 0}, "max_tokens is 0: give 1 or more, or None for no limit"),
        ({"max_seconds": 0.0}, "max_seconds is 0.0: give more than 0, or None for no limit"),
        ({"max_seconds": float("nan")}, "max_seconds is nan: give more than 0, or None for no limit"),
        ({"variant": "diverse"}, "history is empty: variant 'diverse' needs other rounds, see as_history"),
        (
            {"history": HISTORY},
            "history has 4 messages, which variant 'self' does not show: leave it out, or choose variant 'diverse'",
        ),
        (
            {"variant": "diverse", "history": HISTORY[:3]},
            "history has the roles ['user', 'assistant', 'user']: alternate user and assistant, user first",
        ),
        (
            {"variant": "diverse", "history": (assistant("a"), user("q"))},
            "history has the roles ['assistant', 'user']: alternate user and assistant, user first",
        ),
    ],
)
def test_a_bad_plan_names_value_and_remedy(options, message):
    with pytest.raises(ValueError, match=r"^.*$") as caught:
        Plan(**options)
    assert str(caught.value) == message


def test_a_history_of_queries_and_answers_is_enough():
    assert len(Plan(variant="diverse", history=HISTORY[:2]).history) == 2
