"""Write the tables of docs/scale.md from results/scale, or check them (``--check``)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from evidence_tables import block, refresh

from secondlook.evaluation.planning.schedule import Load, Rates, Site, Wall, wall
from secondlook.evaluation.planning.show import SAYS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "scale.md"
MEASURED = ROOT / "results" / "scale" / "plan.json"
CLUSTER = ROOT / "results" / "scale" / "cluster.json"
CACHE = ROOT / "results" / "scale" / "prefix-cache.json"
QUANTITIES = {
    "calls": "calls",
    "tokens_in": "tokens in",
    "tokens_out": "tokens out",
    "processor_seconds": "processor seconds",
    "seconds": "wall seconds",
}
SITES = ((1, 1), (8, 1), (8, 8), (1000, 1), (1000, 64), (1000, 1000))
"""GPUs, each an endpoint, and drivers."""


def checks(result: dict[str, Any]) -> str:
    """A line for each study and quantity: planned, measured, and their ratio."""
    within = result["within"]
    lines = [f"| study | | planned | measured | ratio | within {within:.0%} |", "|---|---|---|---|---|---|"]
    for study in result["studies"]:
        label = _label(study)
        for name, says in QUANTITIES.items():
            ratio = study["ratio"][name]
            held = "yes" if abs(ratio - 1) <= within else "**no**"
            planned, measured = study["predicted"][name], study["measured"][name]
            lines.append(f"| {label} | {says} | {planned:,.0f} | {measured:,.0f} | {ratio:.3f} | {held} |")
            label = ""
    return "\n".join(lines) + "\n"


def cache_checks(result: dict[str, Any]) -> str:
    """A line for each study: prompt tokens from a prefix cache, planned, reported and their ratio."""
    lines = ["| study | tokens in | from the cache, planned | reported | ratio |", "|---|---|---|---|---|"]
    for study in result["studies"]:
        planned, reported = study["predicted"]["tokens_cached"], study["measured"]["tokens_cached"]
        read, ratio = study["measured"]["tokens_in"], study["ratio"]["tokens_cached"]
        lines.append(f"| {_label(study)} | {read:,} | {planned:,.0f} | {reported:,} | {ratio:.3f} |")
    return "\n".join(lines) + "\n"


def cluster(result: dict[str, Any]) -> str:
    """What a unit costs beside a plain task of Ray's, and what a second node gains."""
    overhead, nodes = result["overhead"], result["nodes"]
    lines = ["| | Ray | ours | ratio |", "|---|---|---|---|"]
    for kind, ratio in overhead["ratio"].items():
        plain, units = (overhead["microseconds"][f"{name}, {kind}"] for name in ("plain", "units"))
        what = f"{overhead['tasks']:,} trivial tasks, {kind}, each"
        lines.append(f"| {what} | {plain:,.0f} µs | {units:,.0f} µs | {ratio:.2f} |")
    one, two = nodes["seconds"]["1 node"], nodes["seconds"]["2 nodes"]
    lines += ["", f"| {nodes['runs']} runs of {nodes['steps']} steps of the `quick` profile | seconds |", "|---|---|"]
    lines += [f"| {name} | {seconds:.1f} |" for name, seconds in nodes["seconds"].items()]
    lines.append(f"| two nodes against one | {one / two:.2f} times as fast |")
    return "\n".join(lines) + "\n"


def pilots(result: dict[str, Any]) -> str:
    """How far the same pilot differs from itself."""
    lines = ["| pilot | wall seconds | processor seconds |", "|---|---|---|"]
    for number, took in enumerate(result["pilots"], 1):
        lines.append(f"| {number} | {took['seconds']:.1f} | {took['processor_seconds']:.1f} |")
    return "\n".join(lines) + "\n"


def assumptions(result: dict[str, Any]) -> str:
    """What the extrapolation takes for granted, and what of it was measured."""
    assumed, driver = result["assumed"], result["driver"]
    rows = [
        ("questions × second looks", f"{assumed['questions']:,} × {assumed['rounds']}", "full BBQ"),
        ("characters of a token", f"{assumed['characters_per_token']}", "assumed"),
        ("tokens of an answer, of a critique", f"{assumed['answer_tokens']}, {assumed['critique_tokens']}", "assumed"),
        ("uncached prompt tokens a second, an endpoint", f"{assumed['prompt_rate']:,.0f}", "assumed"),
        ("reply tokens a second, an endpoint", f"{assumed['reply_rate']:,.0f}", "assumed"),
        ("prefix cache", "serves all that it could", "assumed"),
        ("questions that keep an endpoint busy", f"{assumed['in_flight']}", "assumed"),
        ("longest conversation over the mean", f"{assumed['longest']:g}", "assumed"),
        ("seconds until the model is served", f"{assumed['opening']:g}", "assumed"),
        ("driver, for a question of an arm", f"{1000 * driver['question']:.1f} ms", "measured, processor"),
        ("driver, for a call over HTTP", f"{1000 * driver['call']:.1f} ms", "measured, processor"),
        ("reading back and reporting a question of an arm", f"{1000 * driver['report']:.1f} ms", "measured, processor"),
    ]
    lines = ["| what | number | from |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"


def asked(result: dict[str, Any]) -> str:
    """Calls and tokens of full BBQ."""
    questions = result["assumed"]["questions"]
    lines = ["| arm | calls | tokens in | of these a prefix cache could serve | tokens out |", "|---|---|---|---|---|"]
    names = ("calls", "tokens_in", "tokens_reusable", "tokens_out")
    for arm in result["bbq"]:
        lines.append(f"| {arm['arm']} | {' | '.join(_large(questions * arm[name]) for name in names)} |")
    total = [_large(questions * sum(arm[name] for arm in result["bbq"])) for name in names]
    return "\n".join([*lines, f"| all | {' | '.join(total)} |"]) + "\n"


def at_scale(result: dict[str, Any]) -> str:
    """Full BBQ on one, eight and a thousand GPUs."""
    lines = [
        "| GPUs | drivers | wall | GPU hours | questions in flight are filled | limit | its share |",
        "|---|---|---|---|---|---|---|",
    ]
    for gpus, drivers in SITES:
        took = extrapolated(result, gpus, drivers)
        share = getattr(took, took.limit) / took.seconds
        lines.append(
            f"| {gpus:,} | {drivers:,} | {_time(took.seconds)} | {gpus * took.seconds / 3600:,.1f} | "
            f"{took.filled or 0:,.1f} times | {SAYS[took.limit]} | {share:.0%} |"
        )
    return "\n".join(lines) + "\n"


def extrapolated(result: dict[str, Any], gpus: int, drivers: int) -> Wall:
    """Its wall time."""
    assumed, driver = result["assumed"], result["driver"]
    questions = assumed["questions"]
    loads = [
        Load(
            questions=questions,
            calls=questions * arm["calls"],
            latency=0.0,
            uncached=questions * (arm["tokens_in"] - arm["tokens_reusable"]),
            replied=questions * arm["tokens_out"],
        )
        for arm in result["bbq"]
    ]
    rates = Rates(
        question=driver["question"],
        work=0.0,
        in_flight=assumed["in_flight"],
        longest=assumed["longest"],
        opening=assumed["opening"] + driver["opening"],
        arm=driver["arm"],
        report=driver["report"],
        prompt_rate=assumed["prompt_rate"],
        reply_rate=assumed["reply_rate"],
        call=driver["call"],
    )
    return wall(loads, rates, Site(gpus, drivers, 1.0, assumed["prompt_rate"], assumed["reply_rate"]))


def filled(text: str) -> str:
    """The page as it should be."""
    result = json.loads(MEASURED.read_text("utf-8"))
    made = {
        "cluster": cluster(json.loads(CLUSTER.read_text("utf-8"))),
        "plan-checks": checks(result),
        "plan-pilots": pilots(result),
        "plan-cache": cache_checks(json.loads(CACHE.read_text("utf-8"))),
        "plan-assumptions": assumptions(result),
        "plan-asked": asked(result),
        "plan-scale": at_scale(result),
    }
    for name, content in made.items():
        text = block(text, name, content)
    return text


def _label(study: dict[str, Any]) -> str:
    return f"{study['questions']} questions × {study['rounds']} second look{'s' * (study['rounds'] != 1)}"


def _large(number: float) -> str:
    return f"{number / 1e6:,.1f} M"


def _time(seconds: float) -> str:
    return f"{seconds / 3600:,.1f} h" if seconds >= 3600 else f"{seconds / 60:,.1f} min"


def main() -> int:
    """Rewrite the blocks, or compare them."""
    return refresh(PAGE, filled, f"{PAGE.name} does not show results/scale; run: python tools/scale_tables.py")


if __name__ == "__main__":
    sys.exit(main())
