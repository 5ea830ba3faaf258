"""The laboratory beside what one would write without it, at the paper's shape, and how soon it reaches the optimum.

1. A training step at 20 layers, width 96, 3 heads, batch 256, 20 examples of three tokens, float32: ours, against a
   GPT-2 of `transformers` with a loss that loops over prefixes and ranks. Then ours with merged tokens.
2. The transformer against bare matrix products of its own shapes, forward and both backward ones, attention apart.
3. The base of the quick profile, longer: seconds to an excess of 0.05 and 0.01 nats, seeds side by side.
4. Members of an ensemble against one after the other.

Medians of three, side by side in one process of one thread, as runs are trained, and in seconds of a processor, which
other work on the machine does not count in. `--only NAME` runs one of step, products, optimum, ensemble.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import torch
from torch import Generator, Tensor, nn
from transformers import GPT2Config, GPT2Model

from secondlook.lab.exam import Exam
from secondlook.lab.profile import find
from secondlook.lab.run import Run
from secondlook.lab.tasks import Episodes, sample
from secondlook.lab.tokens import reads, tokens
from secondlook.lab.train import Ensemble, Options, train
from secondlook.machine import processors
from secondlook.transformer import Transformer

TIMES = 3
STEP, MERGED, PRODUCTS = 1.5, 4.5, 0.65
NEAR, NEAR_SECONDS, NEARER, NEARER_SECONDS = 0.05, 10, 0.01, 40
SEEDS = 3


def seconds(work: Callable[[], object], times: int = TIMES) -> float:
    """Median of so many calls, after one that does not count."""
    work()
    return statistics.median(_once(work) for _ in range(times))


def in_turns(*works: Callable[[], object]) -> list[float]:
    """Medians of so many rounds in which each is called once, so that a slow minute of the machine slows all."""
    for work in works:
        work()
    rounds = [[_once(work) for work in works] for _ in range(TIMES)]
    return [statistics.median(taken) for taken in zip(*rounds, strict=True)]


def _once(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def reached(what: str, value: float, least: float) -> bool:
    print(f"{what}: {value:.2f} ({'' if value >= least else 'NOT '}at least {least})")
    return value >= least


class Plain(nn.Module):
    """A GPT-2 that reads vectors."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        shape = run.shape
        config = run.shape.transformer(run.task)
        self.read_in, self.read_out = nn.Linear(config.inputs, shape.width), nn.Linear(shape.width, config.outputs)
        self.gpt2 = GPT2Model(
            GPT2Config(
                vocab_size=1,
                n_positions=config.positions,
                n_embd=shape.width,
                n_layer=shape.depth,
                n_head=shape.heads,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                use_cache=False,
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.read_out(self.gpt2(inputs_embeds=self.read_in(x)).last_hidden_state)


def looped(predictions: Tensor, episodes: Episodes, seen: list[int]) -> Tensor:
    """The same loss by loops over prefixes and ranks."""
    total = predictions.new_zeros(())
    for k, n in enumerate(seen):
        y, r = episodes.responses[:, 0, :n], episodes.rewards[:, 0, :n]
        y = y.gather(1, r.argsort(dim=1, descending=True)[..., None].expand_as(y))
        s = -(predictions[:, k, None] - y).square().sum(-1)
        for i in range(n):
            total = total + (torch.logsumexp(s[:, i:], dim=1) - s[:, i]).mean()
    return total / len(seen)


def step() -> bool:
    run = find("paper").base
    torch.manual_seed(0)
    plain = Plain(run)
    optimizer, generator = torch.optim.Adam(plain.parameters(), lr=run.rate), Generator().manual_seed(0)
    at, seen = reads(run.task, run.shape.layout)

    def slow() -> None:
        episodes = sample(run.task, run.batch, generator)
        loss = looped(plain(tokens(episodes, run.shape.layout))[:, at], episodes, seen)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    ours = Ensemble([run])
    merged = Ensemble([replace(run, shape=replace(run.shape, layout="merged"))])
    reference, interleaved, short = in_turns(slow, ours.advance, merged.advance)
    print(f"a step with a GPT-2 and a looped loss: {reference:.2f} s; ours {interleaved:.2f} s, merged {short:.2f} s")
    held = reached("ours, times as fast", reference / interleaved, STEP)
    return held & reached("ours with merged tokens, times as fast", reference / short, MERGED)


def products() -> bool:
    """Rate of the transformer, less its attention, relative to the rate of bare products."""
    run = find("paper").base
    config, shape = run.shape.transformer(run.task), run.shape
    model = Transformer(config, Generator().manual_seed(0))
    episodes = sample(run.task, run.batch, Generator().manual_seed(0))
    x = tokens(episodes, shape.layout)
    rows, w = x.shape[0] * x.shape[1], shape.width
    shapes = [(w, 3 * w), (w, w), (w, 4 * w), (4 * w, w)]
    flops = bare = 0.0
    for inner, outer in shapes:
        a, b, g = torch.randn(rows, inner), torch.randn(inner, outer), torch.randn(rows, outer)
        # Forward, gradient of the input, gradient of the weights: as many operations each.
        for left, right in ((a, b), (g, b.T), (a.T, g)):
            bare += shape.depth * seconds(lambda left=left, right=right: left @ right)
            flops += shape.depth * 2 * rows * inner * outer
    q, k, v = (torch.randn(run.batch, shape.heads, x.shape[1], w // shape.heads, requires_grad=True) for _ in range(3))
    attention = model.blocks[0].attention
    assert attention is not None
    blank = torch.ones_like(q)

    def attend() -> None:
        attention.attend(q, k, v).backward(blank)

    whole = seconds(lambda: model(x).sum().backward())
    apart = shape.depth * seconds(attend)
    rate = flops / (whole - apart)
    print(
        f"bare products {flops / bare / 1e9:.0f} GFLOP/s; forward and backward {whole:.2f} s, of that attention "
        f"{apart:.2f} s, products {bare:.2f} s, and the rest (norms, activations, sums, memory) "
        f"{whole - apart - bare:.2f} s"
    )
    return reached("transformer without attention, of the rate of bare products", rate * bare / flops, PRODUCTS)


def _member(run: Run) -> dict[float, float]:
    """Seconds until the excess is below each, of one seed in a process of its own."""
    torch.set_num_threads(1)
    Exam.of(run.task, run.objective, 512)  # before the clock starts: it is drawn once and kept for the process
    options, begun = Options(look_every=run.steps // 40), time.perf_counter()
    marks: list[float] = []
    (trained,) = train([run], options=options, tick=lambda _: marks.append(time.perf_counter() - begun))
    found = {}
    for near in (NEAR, NEARER):
        below = [look["step"] for look in trained.log if look["excess"] <= near]
        found[near] = marks[int(below[0]) - 1] if below else float("inf")
    print(
        f"seed {run.seed}: excess {trained.log[-1]['excess']:.4f} after {run.steps} steps, {marks[-1]:.1f} s",
        flush=True,
    )
    return found


def optimum() -> bool:
    """Seeds side by side, one on each processor; seconds a seed are seconds on a processor over processors."""
    base = replace(find("quick").base, steps=1200)
    runs = [replace(base, seed=seed) for seed in range(SEEDS)]
    side = processors()
    with ProcessPoolExecutor(side, get_context("spawn")) as pool:
        found = list(pool.map(_member, runs))
    held = True
    for near, most in ((NEAR, NEAR_SECONDS), (NEARER, NEARER_SECONDS)):
        each = [one[near] / side for one in found]
        good = max(each) <= most
        held &= good
        told = ", ".join(f"{one:.1f}" for one in each)
        print(f"excess ≤ {near} nats, 512 fresh problems: {told} s a seed ({'' if good else 'NOT '}within {most} s)")
    return held


def ensemble() -> bool:
    """Only told: which is faster depends on the machine."""
    run = find("quick").base
    together = Ensemble([replace(run, seed=seed) for seed in range(SEEDS)])
    alone = Ensemble([run])
    ratio = SEEDS * seconds(alone.advance, 20) / seconds(together.advance, 20)
    print(f"{SEEDS} members together, times as fast as one after the other: {ratio:.2f}")
    return True


PARTS = {"step": step, "products": products, "optimum": optimum, "ensemble": ensemble}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS)
    only = parser.parse_args().only
    torch.set_num_threads(1)
    print(f"one thread, torch {torch.__version__}")
    held = [part() for name, part in PARTS.items() if only in (None, name)]
    return int(not all(held))


if __name__ == "__main__":
    sys.exit(main())
