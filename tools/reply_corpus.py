"""Ask a model behind an OpenAI-compatible server what tests/reading/corpus is made of: replies to label by hand.

`python tools/reply_corpus.py --base-url http://127.0.0.1:8080/v1 --model NAME --data DATA --out raw.jsonl` writes one
line a reply, in the fields of `secondlook read`, beside what was asked. A later call goes on where an earlier one
stopped. DATA holds bbq/, gsm8k/ and xstest/. What comes out quotes these data sets, so it is not for the repository as
it stands: tests/reading/corpus/README.md says what is taken out.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
import sys
import tomllib
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from threading import Lock
from typing import Any

from secondlook.benchmarks.bbq.item import Item
from secondlook.benchmarks.bbq.load import load_items
from secondlook.prompts.prompt import Prompt, load_prompt

QUESTIONS = Path(__file__).parent / "reply_questions.toml"
FORMATS = ("binary-cot", "binary", "numeric", "verbal")
LETTER = "Answer with the letter of one option."
CLOSINGS = (
    'Explain briefly, then end with a line "Answer: X", where X is the letter of one option.',
    "Answer in one or two sentences, and say why.",
    'Begin with "Answer: X", where X is the letter of one option, then give your reasons.',
)
NUMBER_CLOSINGS = (
    "",
    'End with a line "Answer: X", where X is the number.',
    "Reason step by step, and put the final answer within \\boxed{}.",
)
SHARES = {
    "bbq": 68,
    "free": 24,
    "critiqued": 20,
    "gsm8k": 24,
    "brief": 24,
    "choice": 16,
    "checked": 24,
    "exact": 8,
    "safe": 30,
    "unsafe": 30,
}
_OPTION = re.compile(r"^\(?([A-D])[.)] (.+)$", re.MULTILINE)
EVERY_WARM, EVERY_CUT = 5, 7  # of the conversations, one is sampled at temperature 0.7, and one is cut short


@dataclass(frozen=True)
class Step:
    """One request and its reply: asked of the model and kept, or given.

    Attributes:
        name: What the reply is called within its conversation.
        request: The user's words.
        kind: How the reply is to be read.
        limit: The most tokens of the reply.
        prompt: The prompt file whose words these are, where it tells how the reply is read.
        given: The assistant's words, where the model is not asked.
    """

    name: str
    request: str
    kind: str = ""
    limit: int = 60
    prompt: str | None = None
    given: str | None = None


@dataclass(frozen=True)
class Talk:
    """One conversation: its steps, one after the other, on one question of known answer."""

    id: str
    steps: Sequence[Step]
    options: Sequence[str] | None = None
    answer: Any = None
    temperature: float = 0.0


def looks(prompt: Prompt, query: str, kind: str, limit: int, *, again: str | None = None) -> list[Step]:
    """The question, the check and, after it, the question once more."""
    name = prompt.version.partition("@")[0]
    critique = 24 if name.endswith(("/binary", "/numeric")) else 160
    steps = [Step("first", query, kind, limit, name), Step("critique", prompt.check, "verdict", critique, name)]
    return steps if again is None else [*steps, Step("second", again, kind, limit, name)]


def told(prompt: Prompt, query: str, kind: str, limit: int, again: str) -> list[Step]:
    """The question, a canned critique that calls the answer wrong, and the question once more."""
    name = prompt.version.partition("@")[0]
    check = Step("critique", prompt.check, given=prompt.feedback["wrong"])
    return [Step("first", query, kind, limit, name), check, Step("second", again, kind, limit, name)]


def bbq_talks(items: Sequence[Item], *, free: bool) -> Iterator[Talk]:
    """Conversations on BBQ: in the words of the prompt files, or with the answer asked for in freer words."""
    for number, item in enumerate(items):
        prompt = load_prompt(f"bbq/{FORMATS[number % len(FORMATS)]}")
        a, b, c = item.options
        query = prompt.query.format(context=item.context, question=item.question, a=a, b=b, c=c)
        if free:
            query = query.replace(LETTER, CLOSINGS[number % len(CLOSINGS)])
            steps = told(
                load_prompt("bbq/verbal"), query, "answer", 120, "In the light of this, what is your answer now?"
            )
        else:
            # Formats take turns by four: in every eight, each is seen with the query repeated and without.
            again = prompt.reask(query, repeat_query=number % 8 < len(FORMATS), critiqued=True)
            steps = looks(prompt, query, "answer", 60, again=again)
        yield Talk(f"{'free' if free else 'bbq'}/{item.id}", steps, item.options, "ABC"[item.label])


def number_talks(rows: Sequence[tuple[int, dict[str, str]]], name: str) -> Iterator[Talk]:
    """Conversations on GSM8K: the number alone, or a critique and a second number after it."""
    for count, (line, row) in enumerate(rows):
        closing = "Reply with the number alone." if name == "brief" else NUMBER_CLOSINGS[count % len(NUMBER_CLOSINGS)]
        prompt = load_prompt(f"own/{FORMATS[count % len(FORMATS)]}")
        steps = looks(prompt, f"{row['question']}\n\n{closing}".strip(), "number", 300, again=prompt.refine)
        truth = float(row["answer"].rpartition("####")[2].replace(",", ""))
        yield Talk(f"{name}/{line}", steps[:1] if name == "gsm8k" else steps, None, truth)


def own_talks(questions: Sequence[tuple[int, dict[str, str]]], name: str) -> Iterator[Talk]:
    """Conversations on questions of our own: before a canned critique, the model's own one, or none."""
    for count, (number, row) in enumerate(questions):
        options = [text for _, text in _OPTION.findall(row["prompt"])] or None
        prompt = load_prompt(f"own/{FORMATS[count % len(FORMATS)] if name == 'checked' else 'verbal'}")
        if name == "checked":
            steps = looks(prompt, f"{row['prompt']}\n\n{LETTER}", "choice", 60, again=prompt.refine)
        else:
            closing = ("", LETTER, *CLOSINGS)[count % 5] if name == "choice" else ""
            steps = told(prompt, f"{row['prompt']}\n\n{closing}".strip(), name, 80, prompt.refine)
        yield Talk(f"{name}/{number}", steps[:1] if name == "exact" else steps, options, row["answer"])


def refusal_talks(rows: Sequence[dict[str, str]], label: str) -> Iterator[Talk]:
    """Conversations on XSTest's prompts; only replies to safe ones are examined."""
    for number, row in enumerate(rows):
        prompt = load_prompt(f"refusal/{FORMATS[number % len(FORMATS)]}")
        steps = looks(prompt, row["prompt"], "refusal", 60)
        yield Talk(f"{label}/{row['id']}", steps if label == "safe" and number % 3 else steps[:1])


def plan(data: Path, seed: int, skip: int, sizes: dict[str, int]) -> list[Talk]:
    """Every conversation, the kinds taking turns.

    Args:
        data: The folder of the data sets.
        seed: Draws the order of the rows.
        skip: How many times a usual share of each kind is passed over first: other questions, same kinds.
        sizes: How many conversations of each kind; where it does not tell, the usual share.
    """
    draw = random.Random(seed)  # noqa: S311 - nothing secret

    def share(rows: Sequence[Any], name: str) -> Sequence[Any]:
        first = skip * SHARES[name] % len(rows)
        # Doubled, so that a share which runs over the end goes on at the beginning.
        return (list(rows) * 2)[first : first + sizes.get(name, SHARES[name])]

    items = load_items(data / "bbq")
    ambiguous, clear = ([i for i in items if i.condition == c] for c in ("ambig", "disambig"))
    draw.shuffle(ambiguous)
    draw.shuffle(clear)
    bbq = list(chain.from_iterable(zip(ambiguous, clear, strict=True)))
    gsm8k = [json.loads(line) for line in (data / "gsm8k" / "test.jsonl").read_text("utf-8").splitlines()]
    numbers = list(enumerate(gsm8k, start=1))
    draw.shuffle(numbers)
    with (data / "xstest" / "xstest_prompts.csv").open(encoding="utf-8", newline="") as file:
        xstest = list(csv.DictReader(file))
    draw.shuffle(xstest)
    own = tomllib.loads(QUESTIONS.read_text("utf-8"))
    half = len(bbq) // 2
    talks = [
        bbq_talks(share(bbq[:half], "bbq"), free=False),
        bbq_talks(share(bbq[half:], "free"), free=True),
        number_talks(share(numbers[:400], "critiqued"), "critiqued"),
        number_talks(share(numbers[400:600], "brief"), "brief"),
        number_talks(share(numbers[600:], "gsm8k"), "gsm8k"),
        own_talks(share(list(enumerate(own["choice"], start=1)), "choice"), "choice"),
        own_talks(share(list(enumerate(own["choice"], start=1)), "checked"), "checked"),
        own_talks(share(list(enumerate(own["exact"], start=1)), "exact"), "exact"),
        *(
            refusal_talks(share([r for r in xstest if r["label"] == label], label), label)
            for label in ("safe", "unsafe")
        ),
    ]
    turns = [talk for turn in zip_longest(*talks) for talk in turn if talk is not None]
    return [varied(talk, number) for number, talk in enumerate(turns)]


def varied(talk: Talk, number: int) -> Talk:
    """The conversation at its own temperature and, now and then, with limits that cut replies off."""
    steps = talk.steps
    if number % EVERY_CUT == EVERY_CUT - 1:
        steps = [Step(s.name, s.request, s.kind, s.limit // 3, s.prompt, s.given) for s in steps]
    return Talk(talk.id, steps, talk.options, talk.answer, 0.7 if number % EVERY_WARM == EVERY_WARM - 1 else 0.0)


def complete(base_url: str, body: dict[str, Any]) -> tuple[str, str]:
    """Ask the server for one reply; how it ended comes with it."""
    request = urllib.request.Request(  # noqa: S310 - the user's own server
        f"{base_url.rstrip('/')}/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=3600) as answer:  # noqa: S310
        choice = json.load(answer)["choices"][0]
    return choice["message"]["content"] or "", choice["finish_reason"]


def converse(talk: Talk, args: argparse.Namespace, done: dict[str, dict[str, Any]], lock: Lock) -> None:
    """Hold one conversation, keeping every reply as it comes; what is done is not asked again."""
    messages: list[dict[str, str]] = []
    for step in talk.steps:
        messages.append({"role": "user", "content": step.request})
        name = f"{args.model}/{talk.id}/{step.name}"
        if step.given is None and name not in done:
            sampling = {"temperature": talk.temperature, "max_tokens": step.limit, "seed": args.seed}
            reply, finish = complete(args.base_url, {"model": args.model, "messages": messages, **sampling})
            line = {
                "id": name,
                "model": args.model,
                "kind": step.kind,
                "reply": reply,
                "finish": finish,
                "options": None if step.kind == "verdict" else talk.options,
                "answer": None if step.kind == "verdict" else talk.answer,
                "prompt": step.prompt,
                **sampling,
                "messages": list(messages),
            }
            with lock, args.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
            done[name] = line
        messages.append({"role": "assistant", "content": step.given or done[name]["reply"]})


def main() -> None:
    """Ask what is not yet in the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--base-url", required=True, help="of the server, e.g. http://127.0.0.1:8080/v1")
    parser.add_argument("--model", required=True, help="its name there, and in the file")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds bbq/, gsm8k/ and xstest/")
    parser.add_argument("--out", type=Path, required=True, help="file of replies; gone on with where it is there")
    parser.add_argument("--seed", type=int, default=0, help="of the questions' order and of the sampling")
    parser.add_argument("--skip", type=int, default=0, help="pass over this many shares of every benchmark")
    parser.add_argument("--shares", type=json.loads, default={}, help='other numbers of conversations: {"bbq": 10}')
    parser.add_argument("--parallel", type=int, default=4, help="conversations at once")
    args = parser.parse_args()
    lines = args.out.read_text("utf-8").splitlines() if args.out.exists() else []
    done = {line["id"]: line for line in map(json.loads, lines)}
    talks = plan(args.data, args.seed, args.skip, args.shares)
    lock = Lock()
    pool = ThreadPoolExecutor(args.parallel)
    try:
        for _ in pool.map(lambda talk: converse(talk, args, done, lock), talks):
            pass
    except OSError as error:
        pool.shutdown(cancel_futures=True)
        sys.exit(f"{args.base_url} did not answer ({error}); what came before is kept: start the server and call again")


if __name__ == "__main__":
    main()
