"""The planted checkpoint behind a real OpenAI-compatible server gives the answers it gives in this process."""

import gc

import pytest

from command import secondlook
from secondlook.evaluation.logs import read_logged
from secondlook.local.model import checkpoint

# Inspect drops the idle connections of a finished run unclosed, as its LoopScopedTransport says.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

BENCHMARKS = {
    "planted": ["eval", "planted", "--per-category", 1, "--limit", 7],
    "bbq": ["eval", "bbq", "--limit", 6],
}


@pytest.fixture(autouse=True)
def collected():
    """The warnings belong here, not to whichever test comes next."""
    yield
    gc.collect()


def transcripts(folder):
    return {logged.item.id: logged.transcript for logged in read_logged(folder)}


@pytest.mark.parametrize("benchmark", ["planted", "bbq"])
def test_server_and_process_say_the_same(planted_server, tmp_path, request, benchmark):
    command = [*BENCHMARKS[benchmark], "--rounds", 2, "--reply-tokens", 16]
    if benchmark == "bbq":
        command += ["--data", request.getfixturevalue("bbq_data")]
    served, local = tmp_path / "served", tmp_path / "local"
    name = f"openai-api/local/{checkpoint('planted')}"

    done = secondlook(*command, "--model", name, "--base-url", planted_server, "--out", served)
    assert done.code == 0, done.err
    assert secondlook(*command, "--model", "secondlook/planted", "--out", local).code == 0

    here, there = transcripts(local), transcripts(served)
    assert here.keys() == there.keys()
    for sample in here:
        assert here[sample].stop == there[sample].stop == "rounds"
        assert len(here[sample].rounds) == 3
        assert here[sample].messages == there[sample].messages
        for mine, other in zip(here[sample].rounds, there[sample].rounds, strict=True):
            assert mine.answer == other.answer
            assert (mine.critique and (mine.critique.text, mine.critique.verdict)) == (
                other.critique and (other.critique.text, other.critique.verdict)
            )
            assert mine.usage == other.usage


def test_another_server_can_be_the_critic(planted_server, tmp_path):
    examiner = f"openai-api/local/{checkpoint('planted')}"
    done = secondlook(
        *("eval", "planted", "--per-category", 1, "--limit", 2, "--reply-tokens", 16, "--model", "secondlook/planted"),
        *("--critic", "other", "--critic-model", examiner, "--critic-base-url", planted_server),
        *("--out", tmp_path / "other"),
    )
    assert done.code == 0, done.err
    itself = secondlook(
        *("eval", "planted", "--per-category", 1, "--limit", 2, "--reply-tokens", 16, "--model", "secondlook/planted"),
        *("--out", tmp_path / "self"),
    )
    assert itself.code == 0
    other, own = transcripts(tmp_path / "other"), transcripts(tmp_path / "self")
    for sample in own:
        assert other[sample].critic == "other"
        assert other[sample].messages == own[sample].messages
