"""Where a diagnosis is undecided and settings say to escalate, the first answer is given, and a person sees it."""

import json

import httpx
from servers import Pair, script
from test_gateway_parts import diagnosis


def test_an_undecided_diagnosis_is_escalated_without_a_second_look(tmp_path):
    queue = tmp_path / "queue.jsonl"
    settings = {
        "policy": "diagnosis",
        "diagnoses": (diagnosis(tmp_path / "d.json"),),
        "on_failure": "escalate",
        "escalate_to": str(queue),
    }
    body = {"model": "m", "messages": [{"role": "user", "content": "2 + 2?"}]}
    with Pair(script("5", "6"), **settings) as pair:
        for task, status in (("jobs", "escalated"), ("ages", "passed")):  # undecided; hurts
            headers = {"x-secondlook-task": task}
            response = httpx.post(f"{pair.address}/v1/chat/completions", json=body, headers=headers, timeout=20)
            assert response.status_code == 200
            assert response.headers["x-secondlook-status"] == status
            assert response.headers["x-secondlook-rounds"] == "0"
        assert len(pair.upstream.asked) == 2
    (case,) = [json.loads(line) for line in queue.read_text().splitlines()]
    assert (case["task"], case["why"]) == ("jobs", "second look: undecided")
    assert [message["content"] for message in case["transcript"]["messages"]] == ["2 + 2?", "5"]
