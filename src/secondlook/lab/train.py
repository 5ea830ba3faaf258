"""Training: several runs of equal shape as one batched model, each member as it would be by itself.

All members' weights are stacked; one call of `torch.func` runs them all. AdamW works on every number by itself, and so
makes each member's own step, at a rate of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, vmap

from secondlook.cluster.place import Place
from secondlook.lab.checkpoint import load, save
from secondlook.lab.exam import Exam
from secondlook.lab.objectives import judge
from secondlook.lab.pieces import cut
from secondlook.lab.run import PILOT, Run
from secondlook.lab.tasks import Episodes, sample
from secondlook.lab.tokens import reads, tokens
from secondlook.transformer import Transformer, TransformerConfig

_DATA = 2**40  # problems and first weights of a seed come from different streams


@dataclass(frozen=True)
class Options:
    """Options of how a run is computed, not of what.

    Attributes:
        device: Where.
        bf16: Whether products of the forward pass are taken in bfloat16.
        compile: Whether the forward pass is compiled.
        save_every: Steps between checkpoints.
        look_every: Steps between looks at fresh problems.
        exam: How many of these.
        threads: Pieces of a large batch that a CPU works on at once; what comes out does not depend on it.
    """

    device: str = "cpu"
    bf16: bool = False
    compile: bool = False
    save_every: int = 100
    look_every: int = 25
    exam: int = 512
    threads: int = 1

    @property
    def mark(self) -> str:
        """Mark of what changes a run's weights: kind of device, precision, compilation; empty for float32 on a CPU.

        A kept run's log is of whoever trained it: it is not trained again for another `exam` or `look_every`.
        """
        kind = self.device.partition(":")[0]
        changed = [kind] * (kind != "cpu") + ["bf16"] * self.bf16 + ["compiled"] * self.compile
        return "".join(f"-{change}" for change in changed)


_USUAL = Options()


@dataclass(frozen=True)
class Trained:
    """A run that has been trained.

    Attributes:
        run: What it is.
        weights: Its state dict.
        log: What was seen along the way: step, loss, excess, error of each look; see `Exam.look`.
        cost: What it took, of all members together: seconds, threads, device.
    """

    run: Run
    weights: dict[str, Tensor]
    log: list[dict[str, float]] = field(default_factory=list)
    cost: dict[str, Any] = field(default_factory=dict)

    def model(self) -> Transformer:
        """The transformer.

        Raises:
            FileNotFoundError: Its weights were not kept; see `Store.load`.
        """
        if not self.weights:
            raise FileNotFoundError(f"the weights of {self.run.name} are not there, its log alone is; train it again")
        return Transformer.load(self.run.shape.transformer(self.run.task), self.weights)

    @torch.no_grad()
    def predict(self, episodes: Episodes) -> Tensor:
        """Predictions [batch, p, dy] where the run is judged."""
        at, _ = reads(self.run.task, self.run.shape.layout)
        outputs: Tensor = self.model()(tokens(episodes, self.run.shape.layout))
        return outputs[:, at]


class Ensemble:
    """Members in training.

    Args:
        runs: Their runs; `Run.peers` must agree.
        options: How to compute.

    Raises:
        ValueError: No run, or runs that cannot be members of one ensemble.
    """

    def __init__(self, runs: Sequence[Run], options: Options = _USUAL) -> None:
        if len({run.peers for run in runs}) != 1:
            raise ValueError(f"{len(runs)} runs differ in more than task noise, objective, rate, decay and seed")
        self.runs, self.options, self.step = tuple(runs), options, 0
        config = runs[0].shape.transformer(runs[0].task)
        first = [Transformer(config, Generator().manual_seed(run.seed)).state_dict() for run in runs]
        device = torch.device(options.device)
        self.weights = {
            name: torch.stack([weights[name] for weights in first]).to(device).requires_grad_() for name in first[0]
        }
        # Each member's share of the stacked weights is a leaf of its own for the optimiser, in the same memory.
        self.leaves = [[weight.detach()[member] for weight in self.weights.values()] for member in range(len(runs))]
        groups = [
            {"params": leaves, "lr": run.rate, "weight_decay": run.decay, "betas": (0.9, run.beta2)}
            for run, leaves in zip(runs, self.leaves, strict=True)
        ]
        self.optimizer = torch.optim.AdamW(groups, fused=True)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, [run.factor for run in runs])
        self.generators = [Generator(device).manual_seed(_DATA + run.seed) for run in runs]
        self.at, self.seen = reads(runs[0].task, runs[0].shape.layout)
        # Pieces fit a core's cache; an accelerator, or a compiled pass, takes the batch whole.
        whole = [slice(0, runs[0].batch)]
        self.pieces = cut(runs[0]) if device.type == "cpu" and not options.compile else whole
        # One for each piece: to call a module with given weights puts these into it, for one thread at a time.
        forwards = [_forward(config, len(runs)) for _ in self.pieces]
        self._forwards = [torch.compile(each, dynamic=False) for each in forwards] if options.compile else forwards

    def __len__(self) -> int:
        return len(self.runs)

    def predict(self, x: Tensor, piece: int = 0) -> Tensor:
        """Predictions [members, batch, p, dy] from tokens [members, batch, tokens, inputs]."""
        forward = self._forwards[piece]
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.options.bf16):
            # One member needs no `vmap`, and so keeps fused attention.
            if len(self) == 1:
                outputs = forward({name: weight[0] for name, weight in self.weights.items()}, x[0])[None]
            else:
                outputs = forward({f"model.{name}": weight for name, weight in self.weights.items()}, x)
        return outputs[:, :, self.at].float()

    def advance(self) -> Tensor:
        """Make one step of every member; the losses [members] before it, in the units of each objective.

        Raises:
            FloatingPointError: A loss that is not finite. Weights are as they were.
        """
        episodes = [
            sample(run.task, run.batch, generator) for run, generator in zip(self.runs, self.generators, strict=True)
        ]
        shares = [([some.part(share) for some in episodes], piece) for piece, share in enumerate(self.pieces)]
        with ThreadPoolExecutor(self.options.threads) if self.options.threads > 1 else nullcontext() as pool:
            # In the order of the pieces, whoever is done first: sums are then the same.
            worked = [*(pool.map if pool else map)(lambda share: self._gradients(*share), shares)]
        losses = torch.stack([losses for losses, _ in worked]).sum(0)
        gradients = [torch.stack(shares).sum(0) for shares in zip(*(made for _, made in worked), strict=True)]
        if not losses.isfinite().all():
            bad = int((~losses.isfinite()).nonzero()[0])
            raise FloatingPointError(
                f"the loss of {self.runs[bad].name} is {losses[bad].item()} in step {self.step}: what was saved is "
                f"kept; lower its rate of {self.runs[bad].rate:g}"
            )
        for member, (run, leaves) in enumerate(zip(self.runs, self.leaves, strict=True)):
            for leaf, gradient in zip(leaves, gradients, strict=True):
                leaf.grad = gradient[member].contiguous()  # the fused step reads memory, not strides
            if run.clip:
                torch.nn.utils.clip_grad_norm_(leaves, run.clip)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        return losses

    def _gradients(self, episodes: list[Episodes], piece: int) -> tuple[Tensor, Sequence[Tensor]]:
        """A piece's share of the losses [members] and of the gradients."""
        layout = self.runs[0].shape.layout
        predictions = self.predict(torch.stack([tokens(problems, layout) for problems in episodes]), piece)
        losses = torch.stack(
            [
                # A share of the batch's mean: pieces are summed.
                judge(made, problems, self.seen, run.objective).mean() * (len(problems) / run.batch)
                for run, made, problems in zip(self.runs, predictions, episodes, strict=True)
            ]
        )
        # Members share no weight, so that each gets the gradient of its own loss.
        return losses.detach(), torch.autograd.grad(losses.sum(), list(self.weights.values()))

    def member(self, number: int) -> dict[str, Tensor]:
        """A member's state dict, copied to the CPU."""
        return {name: weight.detach()[number].to("cpu", copy=True) for name, weight in self.weights.items()}

    def state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        return {
            "runs": [run.record() for run in self.runs],
            "step": self.step,
            "weights": {name: weight.detach() for name, weight in self.weights.items()},
            "optimizer": self.optimizer.state_dict(),
            "schedule": {"last_epoch": self.schedule.last_epoch},
            "generators": [generator.get_state() for generator in self.generators],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state of the same runs.

        Raises:
            ValueError: It belongs to other runs.
        """
        # Read back, so that a switch added since, at its default, does not make it another run.
        if [Run.of(record) for record in state["runs"]] != list(self.runs):
            raise ValueError("the checkpoint belongs to other runs; give another folder, or remove it")
        self.step = state["step"]
        for name, weight in self.weights.items():
            weight.detach().copy_(state["weights"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        # The rate of the next step came with the optimiser's groups; the schedule has to go on from there.
        self.schedule.last_epoch = state["schedule"]["last_epoch"]
        for generator, held in zip(self.generators, state["generators"], strict=True):
            generator.set_state(held)


def _forward(config: TransformerConfig, members: int) -> Callable[[dict[str, Tensor], Tensor], Tensor]:
    """The forward pass as a function of weights: one member's, or all members' stacked."""
    with torch.device("meta"):
        skeleton = Transformer(config)
    body = skeleton if members == 1 else _Plain(skeleton)

    def forward(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        outputs: Tensor = functional_call(body, weights, (x,))
        return outputs

    return forward if members == 1 else vmap(forward)


class _Plain(nn.Module):
    """The forward pass with attention written out: `vmap` has no rule for the fused one, and would loop."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model.trace(x).outputs


def train(
    runs: Sequence[Run],
    folder: Place | None = None,
    options: Options = _USUAL,
    *,
    tick: Callable[[int], None] = lambda _: None,
) -> list[Trained]:
    """Train runs of equal shape together, going on from a checkpoint if there is one.

    Args:
        runs: The members.
        folder: Where checkpoints are kept; none for none. On a CPU a run that was stopped ends as one that was not,
            bit for bit.
        options: How to compute.
        tick: Called after every step with the number of steps done.

    Raises:
        ValueError: A device that is not here, runs that cannot train together, or a checkpoint of other runs.
        FloatingPointError: A loss that is not finite.
        OSError: A checkpoint cannot be written; the one before it is kept.
    """
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device {options.device!r} is not here: torch {torch.__version__} finds no such accelerator")
    ensemble = Ensemble(runs, options)
    logs: list[list[dict[str, float]]] = [[] for _ in runs]
    file, before, begun = folder / "checkpoint.pt" if folder else None, 0.0, time.monotonic()
    if held := load(file) if file else None:
        ensemble.restore(held)
        logs, before = held["logs"], held["seconds"]
        tick(ensemble.step)
    exams = [Exam.of(run.task, run.objective, options.exam, pilot=run.seed == PILOT).to(options.device) for run in runs]
    total = runs[0].steps
    while ensemble.step < total:
        # After the checkpoint of this step was written: a resumed run makes, and logs, each look once.
        if ensemble.step % options.look_every == 0:
            _look(ensemble, exams, logs)
        ensemble.advance()
        tick(ensemble.step)
        if ensemble.step == total:
            _look(ensemble, exams, logs)
        if file and (ensemble.step % options.save_every == 0 or ensemble.step == total):
            save(file, {**ensemble.state(), "logs": logs, "seconds": before + time.monotonic() - begun})
    cost = {
        "seconds": round(before + time.monotonic() - begun, 1),
        "threads": torch.get_num_threads() * options.threads,
        "device": options.device,
        "members": len(runs),
    }
    return [Trained(run, ensemble.member(number), logs[number], cost) for number, run in enumerate(runs)]


@torch.no_grad()
def _look(ensemble: Ensemble, exams: Sequence[Exam], logs: list[list[dict[str, float]]]) -> None:
    layout = ensemble.runs[0].shape.layout
    made = ensemble.predict(torch.stack([tokens(exam.episodes, layout) for exam in exams]))
    for log, exam, predictions in zip(logs, exams, made, strict=True):
        log.append({"step": ensemble.step, **exam.look(predictions, ensemble.seen)})


def groups(runs: Sequence[Run], most: int) -> Iterator[list[Run]]:
    """Runs that can train together, at most so many; in the order of their first."""
    together: dict[Run, list[Run]] = {}
    for run in dict.fromkeys(runs):
        together.setdefault(run.peers, []).append(run)
    for members in together.values():
        yield from (members[start : start + most] for start in range(0, len(members), most))
