import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondlook.correction import Critique, Message, ModelInfo, Round, Transcript, Usage, seed_from

texts = st.text(max_size=20)
counts = st.integers(0, 10**9)
times = st.floats(0, 1e6)
usages = st.builds(Usage, counts, counts, counts, counts)
finishes = st.sampled_from(["stop", "length", "filter", "other"])
settings_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
critiques = st.builds(Critique, texts, st.sampled_from(["wrong", "right", "unclear"]), usages, times)
transcripts = st.builds(
    Transcript,
    sample=texts,
    prompt=texts,
    model=st.builds(
        ModelInfo,
        texts,
        st.none() | texts,
        st.none() | texts,
        st.none() | st.booleans(),
        st.dictionaries(texts, settings_values, max_size=3),
    ),
    critic=texts,
    variant=st.sampled_from(["self", "diverse", "self-instruct"]),
    seed=st.integers(0, 2**63 - 1),
    messages=st.lists(st.builds(Message, st.sampled_from(["system", "user", "assistant"]), texts), max_size=4).map(
        tuple
    ),
    rounds=st.lists(
        st.builds(Round, st.integers(0, 9), texts, finishes, usages, times, st.none() | critiques), max_size=3
    ).map(tuple),
    stop=st.sampled_from(["rounds", "satisfied", "tokens", "seconds", "error"]),
    error=st.none() | texts,
    lost=usages,
)


@settings(deadline=None)
@given(transcripts)
def test_json_loses_nothing(transcript):
    text = transcript.to_json()
    assert Transcript.from_json(text) == transcript
    assert Transcript.from_json(text.encode()).to_json() == text
    assert json.loads(text)["sample"] == transcript.sample


@settings(deadline=None)
@given(transcripts)
def test_usage_is_the_sum_of_all_calls(transcript):
    parts = [transcript.lost]
    for round_ in transcript.rounds:
        parts.append(round_.usage)
        if round_.critique is not None:
            parts.append(round_.critique.usage)
    for name in ("input", "output", "cached", "calls", "total"):
        assert getattr(transcript.usage, name) == sum(getattr(part, name) for part in parts)


@pytest.mark.parametrize("text", ["", "{}", '{"sample": "s1"}', "null"])
def test_what_is_no_transcript_is_refused(text):
    with pytest.raises(ValueError, match="validation error"):
        Transcript.from_json(text)


def test_seeds_depend_on_the_parts_alone():
    # Fixed numbers: a change would silently change every sampled run.
    assert seed_from(0, "s1", 0, "answer") == 8448397416989631196
    assert seed_from(1, 23) != seed_from(12, 3)
    assert 0 <= seed_from("x") < 2**63
