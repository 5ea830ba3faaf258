import string
from importlib import resources

import pytest

from secondlook.prompts.prompt import load_prompt, parse_prompt, prompt_names

TEXT = """
query = '''
{context}

{question} (A) {a}
Answer.'''
check = "Check it."
refine = "Refine it."
again = "Once more."
again_alone = "Once more, please."

[feedback]
wrong = "Verdict: biased"
right = "Verdict: unbiased"
unclear = "Verdict: cannot tell"

[verdict]
wrong = "Verdict: biased"
right = "Verdict: unbiased"
"""
VERDICTS = ("wrong", "right", "unclear")


def shipped_text(name):
    benchmark, _, file = name.partition("/")
    return (resources.files("secondlook.prompts") / benchmark / f"{file}.toml").read_text("utf-8")


@pytest.fixture(scope="module")
def prompt():
    return parse_prompt("bbq/test", TEXT)


def test_the_shipped_files_are_known_by_name():
    formats = ("binary", "binary-cot", "numeric", "verbal")
    assert prompt_names() == tuple(f"{room}/{name}" for room in ("bbq", "own", "refusal") for name in formats)


@pytest.mark.parametrize("name", prompt_names())
def test_every_shipped_file_loads(name):
    prompt = load_prompt(name)
    assert prompt == parse_prompt(name, shipped_text(name))
    assert prompt.version.startswith(f"{name}@")
    assert load_prompt(name) is prompt
    for text in (prompt.check, prompt.refine, prompt.again, prompt.again_alone, *prompt.feedback.values()):
        assert text == text.strip() != ""
        assert "{" not in text


@pytest.mark.parametrize("name", [name for name in prompt_names() if name.startswith("bbq/")])
def test_every_bbq_file_asks_for_the_fields_of_a_question(name):
    fields = [field for _, field, _, _ in string.Formatter().parse(load_prompt(name).query) if field is not None]
    assert sorted(fields) == ["a", "b", "c", "context", "question"]


@pytest.mark.parametrize("name", [name for name in prompt_names() if name.startswith("refusal/")])
def test_every_refusal_file_shows_the_request_and_nothing_else(name):
    assert load_prompt(name).query == "{request}"


@pytest.mark.parametrize("name", prompt_names())
def test_every_shipped_file_reads_its_own_feedback(name):
    prompt = load_prompt(name)
    read = {verdict: prompt.verdict(prompt.feedback[verdict]) for verdict in VERDICTS}
    states = prompt.verdicts or prompt.scale
    assert read == {verdict: verdict if states else "unclear" for verdict in VERDICTS}


@pytest.mark.parametrize("name", prompt_names())
def test_the_content_free_requests_say_nothing_of_the_answer(name):
    prompt = load_prompt(name)
    hints = ("examin", "bias", "harm", "score", "stereotyp", "wrong", "right", "refine", "better", "sure")
    for text in (prompt.again, prompt.again_alone):
        assert not [hint for hint in hints if hint in text.lower()]


@pytest.mark.parametrize("name", ["bbq/none", "binary", "", "../bbq/binary"])
def test_an_unknown_prompt_is_an_error_that_lists_the_known(name):
    with pytest.raises(ValueError, match=r"unknown prompt .*; known: .*bbq/binary-cot, bbq/numeric, bbq/verbal"):
        load_prompt(name)


def test_a_format_without_phrases_states_no_verdict():
    verbal = load_prompt("bbq/verbal")
    assert verbal.verdicts == {}
    assert verbal.verdict("Verdict: biased") == "unclear"


def test_the_version_is_the_name_and_the_text(prompt):
    assert prompt.version == parse_prompt("bbq/test", TEXT).version
    edits = (TEXT + "# a remark\n", TEXT.replace("Check it.", "Check it!"), TEXT.replace("\n\n", "\n", 1))
    versions = {prompt.version, *(parse_prompt("bbq/test", text).version for text in edits)}
    assert len(versions) == 4
    assert all(version.startswith("bbq/test@") and len(version) == len("bbq/test@") + 12 for version in versions)
    assert parse_prompt("bbq/other", TEXT).version == prompt.version.replace("test", "other")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('check = "Check it."', "", "field 'check'"),
        ('again = "Once more."', "", "field 'again'"),
        ('check = "Check it."', 'check = "Check it."\nhint = "x"', "field 'hint'"),
        ('"Check it."', "5", "field 'check' is 5"),
        ('"Check it."', '" "', "field 'check' is ' '"),
        ('"Check it."', '["Check", "it."]', r"field 'check' is \['Check'"),
        ('"Check it."', '"Check it."\nsystem = 1', "field 'system' is 1"),
        (
            'unclear = "Verdict: cannot tell"',
            "",
            r"\[feedback\] needs exactly wrong, right, unclear, found right, wrong",
        ),
        ('"Verdict: cannot tell"', "true", "field 'feedback.unclear' is True"),
        ('\nunclear = "Verdict: cannot tell"', '\nunclear = "?"\nmaybe = "?"', r"\[feedback\] needs exactly"),
        ('[verdict]\nwrong = "Verdict: biased"', "[verdict]", r"\[verdict\] needs exactly wrong, right, found right"),
        ('[verdict]\nwrong = "Verdict: biased"', "[verdict]\nwrong = 0", "field 'verdict.wrong' is 0"),
        ("query = '''", "query = ''", "not TOML"),
    ],
)
def test_a_malformed_file_is_an_error_that_names_prompt_and_field(old, new, reason):
    assert old in TEXT
    with pytest.raises(ValueError, match=f"prompt bbq/test: .*{reason}"):
        parse_prompt("bbq/test", TEXT.replace(old, new, 1))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TEXT[: TEXT.index("[feedback]")], r"\[feedback\] is missing"),
        ('feedback = "x"\n' + TEXT[: TEXT.index("[feedback]")], r"\[feedback\] needs exactly .* found 'x'"),
        ("", r"\[feedback\] is missing"),
    ],
)
def test_a_missing_table_is_an_error(text, reason):
    with pytest.raises(ValueError, match=f"prompt bbq/test: {reason}"):
        parse_prompt("bbq/test", text)


def test_texts_are_stripped_and_a_system_message_is_kept(prompt):
    assert prompt.query == "{context}\n\n{question} (A) {a}\nAnswer."
    assert prompt.system is None
    assert parse_prompt("bbq/test", 'system = "Be brief.\\n"\n' + TEXT).system == "Be brief."


def test_lines_are_the_sentences_without_fields_each_once(prompt):
    expected = ["Answer.", "Check it.", "Refine it.", "Once more.", "Once more, please."]
    expected += ["Verdict: biased", "Verdict: unbiased", "Verdict: cannot tell"]
    assert prompt.lines() == expected
    twice = TEXT.replace('"Refine it."', '"Refine it.\\n Answer.\\n\\nCheck it."')
    assert parse_prompt("bbq/test", twice).lines() == expected
    assert parse_prompt("bbq/test", 'system = "Be brief."\n' + TEXT).lines() == [*expected, "Be brief."]


@pytest.mark.parametrize(
    ("repeat_query", "critiqued", "expected"),
    [
        (True, True, "Q"),
        (True, False, "Once more.\n\nQ"),
        (False, True, "Refine it."),
        (False, False, "Once more, please."),
    ],
)
def test_the_question_is_put_again_as_the_variant_asks(prompt, repeat_query, critiqued, expected):
    assert prompt.reask("Q", repeat_query=repeat_query, critiqued=critiqued) == expected


NUMERIC = (
    TEXT[: TEXT.index("[verdict]")]
    + """
[score]
label = "Score:"
lowest = 0
highest = 10
right_from = 6
"""
)


@pytest.mark.parametrize(("critique", "score", "verdict"), [("Score: 6", 6, "right"), ("Score: 5.99", 5.99, "wrong")])
def test_a_verdict_follows_from_the_score(critique, score, verdict):
    prompt = parse_prompt("bbq/test", NUMERIC)
    assert (prompt.score(critique), prompt.verdict(critique)) == (score, verdict)
    assert (prompt.score("Fine."), prompt.verdict("Fine.")) == (None, "unclear")


def test_only_the_numeric_format_has_scores_and_it_can_say_all_of_them(prompt):
    assert prompt.score("Score: 7") is None
    lines = parse_prompt("bbq/test", NUMERIC).lines()
    assert [line for line in lines if line.startswith("Score:")] == [f"Score: {score}" for score in range(11)]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("right_from = 6", "", r"\[score\] needs exactly label, lowest, highest, right_from, found highest"),
        ("right_from = 6", "right_from = 0", "right_from 0; give whole ends"),
        ("right_from = 6", "right_from = 11", "right_from 11; give whole ends"),
        ("lowest = 0", "lowest = 0.5", r"lowest 0\.5"),
        ("lowest = 0", "lowest = true", "lowest True"),
        ('"Score:"', '""', "field 'score.label' is ''"),
        ("[score]", '[verdict]\nwrong = "no"\nright = "yes"\n[score]', "two ways to state a verdict"),
    ],
)
def test_a_malformed_scale_is_an_error(old, new, reason):
    assert old in NUMERIC
    with pytest.raises(ValueError, match=f"prompt bbq/test: .*{reason}"):
        parse_prompt("bbq/test", NUMERIC.replace(old, new, 1))


def test_a_verdict_alone_is_one_of_the_phrases_or_of_the_scores(prompt):
    form = prompt.verdict_form
    assert form.ask == 'Reply with "Verdict: biased" or "Verdict: unbiased" alone.'
    assert [form.read(choice, "stop") for choice in form.choices] == ["Verdict: biased", "Verdict: unbiased"]
    assert form.read("Verdict: cannot tell", "stop") is None
    scale = load_prompt("bbq/numeric").verdict_form
    assert scale.choices[:2] == ("Score: 0", "Score: 1")
    assert scale.read("10/10", "stop") == scale.choices[-1] == "Score: 10"
    assert load_prompt("bbq/verbal").verdict_form is None


def test_a_file_may_have_its_own_words_for_answer_and_verdict_alone(prompt):
    own = parse_prompt("x", f'{TEXT}\n[alone]\nanswer = "Just the letter."\nverdict = "Just the verdict."\n')
    assert (own.answer_form(str, tuple("ABC")).ask, own.verdict_form.ask) == ("Just the letter.", "Just the verdict.")
    usual = prompt.answer_form(str, tuple("ABC")).ask
    assert usual == "State your answer alone: the letter of one option (A, B or C) and nothing else."
    with pytest.raises(ValueError, match=r"prompt x: \[alone\] is .*; it may have answer and verdict"):
        parse_prompt("x", f'{TEXT}\n[alone]\nscore = "?"\n')


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("Choice: latest", "Choice: latest"),
        ("My earlier answer was 5, my latest is 4, and 2 + 2 is 4.\nChoice: latest", "Choice: latest"),
        ("The latest answer is wrong.\n**Choice: earlier**", "Choice: earlier"),
        ("Earlier", "Choice: earlier"),
        ("Both may be.", None),
        ("Choice: earlier or latest", None),
    ],
)
def test_a_judges_choice_is_read_strictly(said, read):
    form = load_prompt("own/binary-cot").preference_form
    assert form.read(said, "stop") == read
    assert all(choice in form.ask for choice in form.choices)
