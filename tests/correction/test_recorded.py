import pytest
from echo_case import EchoCase, examination

from secondlook.correction import Critique, RecordedCritic

pytestmark = pytest.mark.anyio

GOOD = '{"sample": "s1", "round": 0, "verdict": "wrong"}'


@pytest.fixture
def load(tmp_path):
    def write(*lines):
        file = tmp_path / "verdicts.jsonl"
        file.write_text("\n".join(lines))
        return RecordedCritic.load(file)

    return write


UNCLEAR = Critique("verdict: unclear", "unclear")
ON_A = '{"sample": "s1", "round": 0, "verdict": "wrong", "text": "No: A is a guess.", "answer": "A"}'


@pytest.mark.parametrize(
    ("line", "asked", "critique"),
    [
        (GOOD, {}, Critique("verdict: wrong", "wrong")),
        (GOOD[:-1] + ', "text": "Too bad."}', {}, Critique("Too bad.", "wrong")),
        (GOOD, {"case": EchoCase("s2")}, UNCLEAR),
        (GOOD, {"round_index": 1}, UNCLEAR),
        (ON_A, {"answer": "A"}, Critique("No: A is a guess.", "wrong")),
        (ON_A, {"answer": "B"}, UNCLEAR),
    ],
)
async def test_a_verdict_stands_for_its_sample_round_and_answer_alone(load, line, asked, critique):
    assert await load(line).examine(examination(**asked)) == critique


async def test_blank_lines_are_passed_over(load):
    critic = load("", GOOD, "  ", '{"sample": "s1", "round": 1, "verdict": "right"}', "")
    assert set(critic.records) == {("s1", 0), ("s1", 1)}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{oops", r"not JSON \(Expecting property name.*, column 2\): '\{oops'; a line has sample"),
        ("[1]", r"Input should be a valid dictionary .*, got \[1\]; a line has sample, round"),
        ('{"sample": "s2", "round": 0}', "verdict: Field required, got .*'s2'.*; a line has"),
        (
            '{"sample": "s2", "round": 0, "verdict": "biased"}',
            "verdict: Input should be 'wrong', 'right' or 'unclear', got 'biased'; a line has",
        ),
        (
            '{"sample": "s2", "round": 0, "verdict": "right", "sure": 0.9}',
            r"sure: Extra inputs are not permitted, got 0\.9; a line has sample, round .* text and answer",
        ),
        ('{"sample": "s2", "round": -1, "verdict": "right"}', "round: .* greater than or equal to 0, got -1"),
        ('{"sample": "s2", "round": "0", "verdict": "right"}', "round: .* valid integer, got '0'"),
        ('{"sample": "s2", "round": true, "verdict": "right"}', "round: .* valid integer, got True"),
        ('{"sample": 2, "round": 0, "verdict": "right"}', "sample: .* valid string, got 2"),
        ('{"sample": "", "round": 0, "verdict": "right"}', "sample: .* at least 1 character, got ''"),
        (
            '{"sample": "s2", "round": 0, "verdict": "right", "text": ""}',
            "text: .* at least 1 character, got ''",
        ),
        (
            '{"sample": "s2", "round": 0, "verdict": "right", "verdict": "wrong"}',
            r"a field is given twice in \['sample', 'round', 'verdict', 'verdict'\]; a line has",
        ),
        (
            '{"sample": "s1", "round": 0, "verdict": "right"}',
            "sample 's1', round 0 is already on line 1; keep one of the two",
        ),
    ],
)
async def test_a_bad_line_is_named_by_file_line_value_and_remedy(load, line, reason):
    with pytest.raises(ValueError, match=r"^.*verdicts\.jsonl:2: " + reason) as caught:
        load(GOOD, line, GOOD)
    assert "\n" not in str(caught.value)


async def test_bytes_that_are_no_text_are_named_too(tmp_path):
    file = tmp_path / "verdicts.jsonl"
    file.write_bytes(GOOD.encode() + b"\n\xff\n")
    with pytest.raises(ValueError, match=r"verdicts\.jsonl:2: .*can't decode byte 0xff"):
        RecordedCritic.load(file)


async def test_an_empty_file_is_refused(load, tmp_path):
    with pytest.raises(ValueError, match=r"verdicts\.jsonl: holds no verdicts; a line has"):
        load("")
    with pytest.raises(FileNotFoundError):
        RecordedCritic.load(tmp_path / "nowhere.jsonl")
