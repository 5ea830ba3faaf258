"""The command that attacks a defence, to evaluate it adaptively; local models only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from secondlook.cli.terminal import console
from secondlook.correction.chat import Completion, Message, ModelInfo, Usage

if TYPE_CHECKING:
    from secondlook.subject.local import LocalModel

app = typer.Typer()


@app.command()
def attack(
    checkpoint: Annotated[str, typer.Argument(help="A local checkpoint: a folder, or planted.")],
    behaviours: Annotated[Path, typer.Option(help="CSV file of behaviours with targets.")],
    out: Annotated[Path, typer.Option(help="Artifact file to write, outside any repository.")],
    defence: Annotated[str, typer.Option(help="none, self-reminder, icd, again, self or self-instruct.")] = "none",
    prompt: Annotated[str, typer.Option(help="Prompt file.")] = "refusal/verbal",
    rounds: Annotated[int, typer.Option(help="Second looks.")] = 1,
    shots: Annotated[int, typer.Option(help="Refusals that defence icd shows.")] = 4,
    limit: Annotated[int | None, typer.Option(help="How many behaviours, from the first.")] = None,
    steps: Annotated[int, typer.Option(help="Steps of the search in each pass.")] = 250,
    width: Annotated[int, typer.Option(help="Candidates tried at each step.")] = 512,
    passes: Annotated[int, typer.Option(help="How often the conversation is held anew.")] = 2,
    start: Annotated[str, typer.Option(help="Suffix to begin with; its length is kept.")] = " ".join("x" * 20),
    reply_tokens: Annotated[int, typer.Option(help="Tokens a reply may have.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of the search.")] = 0,
    device: Annotated[str | None, typer.Option(help="Where to run; CUDA if found.")] = None,
) -> None:
    """Optimise a suffix against the defended conversation of a local model (extra ``attack``: nanogcg).

    The file it writes is replayed like any stored attack: ``secondlook eval refusal --attacks FILE``.
    """
    from secondlook.benchmarks.harness.cases import shot_to_sample
    from secondlook.benchmarks.harness.solver import Bench
    from secondlook.benchmarks.harness.study import Study
    from secondlook.benchmarks.refusal import attack as driver
    from secondlook.benchmarks.refusal.defences import refusals, reminder, study_fields
    from secondlook.benchmarks.refusal.load import load_behaviours

    if defence == "diverse":
        raise ValueError("defence 'diverse' shows other requests, which this command does not make; attack 'self'")
    if defence == "vote":
        raise ValueError("defence 'vote' has many answers to one prompt, with no last turn to optimise for")
    driver.check_place(out)
    search = driver.Search(steps=steps, width=width, passes=passes, start=start, seed=seed)
    fields = study_fields(defence, shots, {"prompt": prompt, "rounds": rounds})
    study = Study.of(seed=seed, **fields)
    requests = load_behaviours(behaviours, "harmful")[:limit]
    from secondlook.subject.local import LocalModel  # last, since it takes a while, and errors need not wait for it

    local = LocalModel(checkpoint, device)
    shown = [shot_to_sample(shot).metadata or {} for shot in refusals(shots)] if defence == "icd" else []
    bench = Bench(study, shown, _Chat(local, reply_tokens))
    words = reminder() if defence == "self-reminder" else None
    found = driver.attack(requests, bench, study.file, words, local, search)
    driver.write_artifact(out, found, model=local.info.name, defence=defence, search=search)
    console.print(f"{sum(one.jailbroken for one in found)} of {len(found)} requests complied with; prompts in {out}")


class _Chat:
    """A local checkpoint as the loop sees it, one request at a time."""

    def __init__(self, local: LocalModel, reply_tokens: int) -> None:
        self._local, self._reply_tokens = local, reply_tokens

    @property
    def info(self) -> ModelInfo:
        """Name and revision of the checkpoint."""
        return self._local.info

    async def complete(self, messages: Sequence[Message], *, prefill: str = "", seed: int | None = None) -> Completion:
        """Reply greedily."""
        from secondlook.subject.local import Settings

        del seed
        turns = [*messages, Message("assistant", prefill)] if prefill else messages
        (reply,) = self._local.generate([self._local.encode(turns)], Settings(self._reply_tokens))
        usage = Usage(reply.tokens_in, reply.tokens_out, calls=1)
        return Completion(reply.text, usage, reply.finish)
