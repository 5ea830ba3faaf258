"""A planted endpoint, to try everything with no model at hand: it speaks like a chat server and adds carelessly.

It forgets the carry in 6 of 10 sums that have one. Asked to examine its answer, it is right about it in 55 of 100. Told
that the answer is wrong, it gives another one: the sum in 8 of 10 if the answer was wrong, a wrong one in 9 of 10 if it
was right. Chance is a hash of the conversation, and of the seed where a temperature is asked for, so a run can be
repeated. It is no language model.

    python endpoint.py [PORT]     8123, unless told otherwise
"""

import hashlib
import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def happens(share, *parts):
    """Whether something happens that does so in this share of conversations."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:6], "big") < share * 2**48


def reply(messages, seed):
    asked = [message["content"] for message in messages if message["role"] == "user"]
    said = [message["content"] for message in messages if message["role"] == "assistant"]
    if len(numbers := re.findall(r"\d+", asked[0])) < 2:
        return "Ask me for a sum."
    a, b = map(int, numbers[:2])
    careless = a // 10 * 10 + b // 10 * 10 + (a % 10 + b % 10) % 10
    if "Verdict:" in asked[-1]:  # it is asked to examine its answer
        correct = said[-1] == f"{a + b}."
        knows = happens(0.55, "examines", messages, *seed)
        return "Let me see.\nVerdict: " + ("correct" if correct == knows else "wrong")
    if said and said[-1].endswith("Verdict: wrong"):
        was_right = said[-2] == f"{a + b}."
        share = 0.1 if was_right else 0.8
        return f"{a + b}." if happens(share, "again", messages, *seed) else f"{a + b + 1}."
    if said and said[-1].endswith("Verdict: correct"):
        return said[-2]
    wrong = careless != a + b and happens(0.6, "adds", messages, *seed)
    return f"{careless if wrong else a + b}."


class Chat(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.path.endswith("/chat/completions"):
            self.answer(404, {"error": {"message": f"{self.path}: this endpoint speaks /v1/chat/completions alone"}})
            return
        try:
            request = json.loads(body)
        except ValueError:
            self.answer(400, {"error": {"message": "the body is no JSON"}})
            return
        text = reply(request["messages"], [request.get("seed")] if request.get("temperature") else [])
        tokens = [len(" ".join(m["content"] for m in request["messages"]).split()), len(text.split())]
        usage = dict(zip(["prompt_tokens", "completion_tokens", "total_tokens"], [*tokens, sum(tokens)], strict=True))
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        answer = {"id": "x", "object": "chat.completion", "created": 0, "model": "adder", "usage": usage}
        self.answer(200, answer | {"choices": [choice]})

    def do_GET(self):
        self.answer(200, {"object": "list", "data": [{"id": "adder", "object": "model"}]})

    def answer(self, status, said):
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing."""


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8123
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Chat)
    except OSError as error:
        sys.exit(f"port {port} cannot be had ({error.strerror}); give another: python endpoint.py {port + 1}")
    print(f"a planted endpoint on http://127.0.0.1:{server.server_port}/v1", flush=True)
    server.serve_forever()
