"""End to end on a planted subject: diagnosed, deployed, and what was foretold happens.

A planted language of refusals, with triggers that make the subject comply and a self-check that mostly sees through
them (docs/planted-subject.md); the subject is served by a real server, and the gateway stands before it.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pandas as pd
import pytest
from servers import Running

from command import secondlook
from secondlook.benchmarks.refusal.load import load_attacks, load_behaviours
from secondlook.diagnosis.form import from_json
from secondlook.gateway.app import build
from secondlook.gateway.settings import GatewaySettings
from secondlook.local.model import checkpoint
from secondlook.reading import read_refusal

SUBJECT = str(checkpoint("planted-0.1m"))
TOKENS = 48

# Inspect drops the idle connections of a finished run unclosed, as its LoopScopedTransport says.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


def requests(folder, per_category, seed):
    """Planted requests in the formats of published ones; options for the command, and the requests themselves."""
    assert secondlook("data", "make", "refusal", folder, "--per-category", per_category, "--seed", seed).code == 0
    files = {"--behaviours": folder / "harmful-behaviors.csv", "--benign": folder / "benign-behaviors.csv"}
    attacks = sorted(folder.glob("*.json"))
    asked = [
        *load_behaviours(files["--behaviours"], "harmful"),
        *load_behaviours(files["--benign"], "benign"),
        *(request for attack in load_attacks(attacks) for request in attack.requests),
    ]
    options = [
        *(word for pair in files.items() for word in pair),
        *(w for path in attacks for w in ("--attacks", path)),
    ]
    return options, {request.id: request for request in asked}


@pytest.fixture(scope="module")
def evaluated(server, tmp_path_factory):
    """A run of the refusal benchmark against the server: its folder, and its requests."""
    folder = tmp_path_factory.mktemp("evaluated")
    options, asked = requests(folder / "data", 3, seed=0)
    run = folder / "run"
    done = secondlook(
        *("eval", "refusal", "--model", f"openai-api/local/{SUBJECT}", "--base-url", server, *options),
        *("--defence", "self", "--prompt", "refusal/binary-cot", "--reply-tokens", TOKENS, "--out", run),
    )
    assert done.code == 0, done.err
    return run, asked


def through(settings, asked, headers=None):
    """What clients get who ask through a gateway: its responses by request."""
    app, gateway = build(settings)
    with Running(app) as address, httpx.Client(timeout=120) as client, ThreadPoolExecutor(8) as pool:

        def ask(request):
            body = {
                "model": SUBJECT, "temperature": 0, "max_tokens": TOKENS, "secondlook": {"transcript": True},
                "messages": [{"role": "user", "content": request.text}],
            }  # fmt: skip
            return client.post(f"{address}/v1/chat/completions", json=body, headers=headers)

        responses = dict(zip(asked, pool.map(ask, asked.values()), strict=True))
    assert {response.status_code for response in responses.values()} == {200}
    return responses, gateway


def content(response):
    return response.json()["choices"][0]["message"]["content"]


def complied(text):
    return read_refusal(text) == "complied"


def deployed(server, diagnosis, **settings):
    """The gateway as a diagnosis says, no further than was measured."""
    return GatewaySettings(
        upstream=server, policy="diagnosis", diagnoses=(diagnosis,), rounds=1, critic_tokens=TOKENS, **settings
    )


def test_attack_success_falls_as_foretold_and_benign_answers_stay(server, evaluated, tmp_path):
    run, asked = evaluated
    diagnosis = from_json((run / "diagnosis.json").read_bytes())
    assert diagnosis.overall.finding == "helps"
    foretold = diagnosis.overall.contexts["harmful"]

    # The same requests: the gateway's answers are those that were evaluated, one by one.
    responses, _ = through(deployed(server, run / "diagnosis.json"), asked)
    records = pd.read_csv(run / "records.csv").set_index(["sample", "round"])["answer"]
    for name, response in responses.items():
        assert ("complied" if complied(content(response)) else "refused") == records[name, 1]

    # Other requests: success of attacks falls by what was foretold, within its interval.
    _, others = requests(tmp_path / "data", 2, seed=1)
    others = {name: request for name, request in others.items() if request.text not in {r.text for r in asked.values()}}
    responses, _ = through(deployed(server, run / "diagnosis.json"), others)
    first = {name: r.json()["secondlook"]["transcript"]["rounds"][0]["answer"] for name, r in responses.items()}
    harmful = [name for name, request in others.items() if request.condition == "harmful"]
    benign = [name for name, request in others.items() if request.condition == "benign"]
    assert len(harmful) > 25
    fall = sum(complied(first[name]) - complied(content(responses[name])) for name in harmful) / len(harmful)
    assert foretold.low <= fall <= foretold.high
    assert benign
    assert all(complied(first[name]) and complied(content(responses[name])) for name in benign)
    assert {response.headers["x-secondlook-reason"] for response in responses.values()} == {"helps"}


@pytest.mark.parametrize("finding", ["hurts", "undecided"])
def test_where_looking_hurts_or_nobody_knows_nothing_is_done(server, evaluated, tmp_path, finding):
    run, asked = evaluated
    found = json.loads((run / "diagnosis.json").read_text())
    found["overall"] |= {"finding": finding, "recommended_rounds": 0}
    path = tmp_path / "diagnosis.json"
    path.write_text(json.dumps(found))
    some = dict(list(asked.items())[:40])
    asks_for_more = {"x-secondlook-policy": "always", "x-secondlook-rounds": "3"}
    audit = Path(tmp_path / "audit.db")
    responses, gateway = through(deployed(server, path, audit_file=audit), some, asks_for_more)
    direct, _ = through(GatewaySettings(upstream=server, policy="never"), some)
    for name, response in responses.items():
        assert content(response) == content(direct[name])
        assert "secondlook" not in response.json()
        assert response.headers["x-secondlook-status"] == "passed"
    text = gateway.metrics.render()[1].decode()
    assert f"secondlook_upstream_calls_total {len(some)}.0" in text
    assert "secondlook_second_looks_total 0.0" in text
