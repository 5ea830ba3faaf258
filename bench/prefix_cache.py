"""What `secondlook plan` says of cache hits from a pilot, beside what a server with a prefix cache then reports.

The server answers with the planted subject's weights, as any OpenAI-compatible one, and keeps books as vLLM's prefix
cache does: blocks of 16 tokens, each known by all that came before it, prompts and replies alike, the last token of a
prompt always read anew. It keeps all blocks, and computes all tokens: what is checked are counts, and no times. Every
run has a server of its own, so that a study finds nothing of the pilot's.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio
from plan import IN_FLIGHT, PILOTS, STUDIES, WITHIN, Size, compared, keep, listen, options, serving, spent_by, timed
from starlette.requests import Request
from starlette.responses import JSONResponse

from secondlook.correction.chat import Message
from secondlook.evaluation.planning.pilot import read_pilot
from secondlook.local.model import LocalModel, Settings

BLOCK = 16


class Books:
    """Which blocks of tokens have been read."""

    def __init__(self) -> None:
        self._known: set[int] = set()

    def hits(self, ids: list[int]) -> int:
        """Tokens at a prompt's beginning that need not be read."""
        count = 0
        for block in _blocks(ids[:-1]):
            if block not in self._known:
                break
            count += BLOCK
        return count

    def add(self, ids: list[int]) -> None:
        """A prompt with its reply."""
        self._known.update(_blocks(ids))


def _blocks(ids: list[int]) -> list[int]:
    """Of each full block a hash of all up to its end."""
    return [hash(tuple(ids[: end + BLOCK])) for end in range(0, len(ids) - BLOCK + 1, BLOCK)]


def serve(port: int) -> None:
    """Answer on loopback."""
    model, books, one = LocalModel("planted"), Books(), threading.Lock()

    def complete(request: dict[str, Any]) -> dict[str, Any]:
        messages = [Message(message["role"], message["content"]) for message in request["messages"]]
        with one:
            prompt = model.encode(messages)
            cached = books.hits(prompt)
            (reply,) = model.generate([prompt], Settings(max_tokens=request["max_tokens"]))
            said = [*messages, Message("assistant", reply.text)]
            books.add(model.encode(said))
        usage = {"prompt_tokens": reply.tokens_in, "completion_tokens": reply.tokens_out}
        usage |= {"total_tokens": sum(usage.values()), "prompt_tokens_details": {"cached_tokens": cached}}
        message = {"role": "assistant", "content": reply.text}
        choice = {"index": 0, "message": message, "finish_reason": reply.finish}
        answer = {"id": "1", "object": "chat.completion", "created": 0, "model": "planted"}
        return {**answer, "choices": [choice], "usage": usage}

    async def chat(request: Request) -> JSONResponse:
        return JSONResponse(await anyio.to_thread.run_sync(complete, await request.json()))

    listen(port, chat)


def measured(size: Size, folder: Path, core: int, seed: int) -> dict[str, float]:
    """What a study takes, asked of a server that has read nothing yet."""
    with serving(__file__) as address:
        return timed(size, folder, core, seed, "openai-api/local/planted", "--base-url", address)


def main() -> int:
    asked = options(__doc__, "prefix-cache").parse_args()
    if asked.serve:
        serve(asked.serve)
        return 0
    asked.folder.mkdir(parents=True, exist_ok=True)
    first, studies = PILOTS[0], []
    measured(first, asked.folder, asked.core, asked.seed)
    pilot = read_pilot(asked.folder / first.name)
    for size in STUDIES:
        study = compared(size, pilot, asked.folder, measured(size, asked.folder, asked.core, asked.seed))
        for part in ("predicted", "measured", "ratio"):  # the server computes all tokens: its times mean nothing
            study[part] = {name: study[part][name] for name in ("calls", "tokens_in", "tokens_out", "tokens_cached")}
        studies.append(study)
    result = {
        "pilot": {**asdict(first), **spent_by(asked.folder / first.name)},
        "in_flight": IN_FLIGHT,
        "block": BLOCK,
        "within": WITHIN,
        "studies": studies,
    }
    return keep(result, asked.out)


if __name__ == "__main__":
    sys.exit(main())
