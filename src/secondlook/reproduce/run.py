"""The runner: each job once, its entry kept under a digest of everything it depends on, and the files for readers."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from secondlook.cluster.place import put, turn
from secondlook.cluster.unit import Engine
from secondlook.reproduce import gather, words
from secondlook.reproduce.ledger import LEDGER, Claim, Floor, holds
from secondlook.reproduce.theory import GRIDS

_HOUSE = Path(__file__).parent.parent
RESULTS = _HOUSE.parent.parent / "results"
"""Committed evidence, where this is a checkout."""
_ROOTS: dict[Floor, tuple[str, ...]] = {
    "theory": ("construct", "reproduce/theory.py", "reproduce/worth_picture.py"),
    "laboratory": ("lab",),
    "studies": ("studies", "subject"),  # whose weights are asked; nothing imports them
    "real": ("studies",),
}
# With spaces before it: heavy imports stand inside functions.
_IMPORT = re.compile(r"^ *(?:from|import) secondlook\.(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """A claim after a run.

    Attributes:
        record: What `claims.json` says of it.
        finding: Panels and curves, and whatever else its evidence holds; empty where there is none.
        earlier: What was committed, where the record is of another run, or of none.
    """

    record: dict[str, Any]
    finding: dict[str, Any]
    earlier: dict[str, Any] | None = None


def jobs(claims: Sequence[Claim]) -> list[list[Claim]]:
    """Claims that get their evidence together."""
    grouped: dict[str, list[Claim]] = {}
    for claim in claims:
        grouped.setdefault(f"{claim.floor} {claim.job}", []).append(claim)
    return list(grouped.values())


def reproduce(
    claims: Sequence[Claim],
    profile: str,
    out: Path,
    *,
    workers: int = 1,
    results: Path = RESULTS,
    kept: bool = False,
    engine: Engine | None = None,
    accelerated: bool = False,
    tell: gather.Describe = lambda _: None,
    done: Callable[[], None] = lambda: None,
) -> list[Entry]:
    """Every claim's entry; what is finished and has not changed is not run again.

    Args:
        claims: Which.
        profile: One of `gather.PROFILES`.
        out: Keeps entries under `cache`, and what jobs can go on from under `work`.
        workers: Processes.
        results: Committed evidence.
        kept: Take committed evidence of this profile rather than gather it again.
        engine: A cluster: it does the jobs of theory and studies side by side, and trains what the laboratory needs.
        accelerated: Whether it has accelerators.
        tell: Called with what is being done.
        done: Called after each job.

    Returns:
        Outcomes in the order of the claims.

    Raises:
        ValueError: No such profile.
    """
    if profile not in gather.PROFILES:
        raise ValueError(f"profile {profile!r} is unknown; known: {', '.join(gather.PROFILES)}")
    found: dict[str, Entry] = {}
    for claim in claims:
        old = gather.committed(claim, results)
        if old and _kept(claim, profile, old, kept):
            found[claim.id] = _committed(claim, old)
        elif not gather.runs_here(claim, profile, accelerated):
            why = f"{claim.hardware} would run it: {claim.full}"
            found[claim.id] = Entry(gather.not_run(claim, profile, why), old or {}, old)
    # A cluster does the jobs first, into the cache; below they are found there. The laboratory spreads its own runs,
    # and the file of a real model lies on this machine.
    if engine:
        waiting = jobs([claim for claim in claims if claim.id not in found and claim.floor in ("theory", "studies")])
        units = [Job(members[0], profile, out.absolute()) for members in waiting]
        tell(f"{len(units)} jobs of theory and studies")
        with turn(out):
            engine.run(units, lambda _unit, _part: None)
    for members in jobs(claims):
        tell(", ".join(claim.id for claim in members))
        if missing := [claim for claim in members if claim.id not in found]:
            found |= _run(missing, Job(missing[0], profile, out, workers), tell, engine)
            for claim in missing:
                found[claim.id] = replace(found[claim.id], earlier=gather.committed(claim, results))
        done()
    for claim in claims:
        found[claim.id].record["real"] = gather.on_real_models(claim, results)
    return [found[claim.id] for claim in claims]


def _committed(claim: Claim, old: dict[str, Any]) -> Entry:
    evidence = f"committed, {old['profile']}, {words.code(old)}"
    return Entry(gather.record(claim, old, old["profile"], evidence, old["seconds"]), old)


def _kept(claim: Claim, profile: str, old: dict[str, Any] | None, kept: bool) -> bool:
    """Whether what was committed of a claim is taken for it."""
    if old is None:
        return False
    if kept and claim.floor == "real":
        return True  # records of a real model are committed whatever the profile
    return (kept and old["profile"] == profile) or (profile == "demo" and not gather.runs_here(claim, profile))


@dataclass(frozen=True)
class Job:
    """The unit of work: what gathers the evidence of a claim, and of all others with the same job.

    Attributes:
        claim: One of them.
        profile: One of `gather.PROFILES`.
        out: Keeps findings under `cache`, and what a job can go on from under `work`.
        workers: Processes.
    """

    claim: Claim
    profile: str
    out: Path
    workers: int = 1

    @property
    def name(self) -> str:
        """Name made of all that its findings depend on."""
        return f"{self.claim.floor}-{self.claim.job}-{self.profile}-{digest(self.claim, self.profile)}"

    @property
    def file(self) -> Path:
        """File that keeps its findings."""
        return self.out / "cache" / f"{self.name}.json"

    def done(self) -> bool:
        """Whether they are there."""
        return self.file.is_file()

    def work(self, tick: Callable[[float], None]) -> None:
        """Gather them, in a folder that no other job works in."""
        del tick
        self.gather(lambda _: None, None, self.claim.id)

    def gather(self, tell: gather.Describe, engine: Engine | None, part: str = "") -> None:
        """Gather the findings. Runs and answers that a job can go on from are of this code alone."""
        begun = time.monotonic()
        work = self.out / "work" / f"{self.claim.floor}-{_code(self.claim.floor)[:12]}" / part
        findings = gather.run(self.claim, self.profile, work, self.workers, tell, engine)
        kept = {"findings": findings, "seconds": time.monotonic() - begun}
        put(self.file, (json.dumps(kept, allow_nan=False) + "\n").encode())


def _run(claims: Sequence[Claim], job: Job, tell: gather.Describe, engine: Engine | None) -> dict[str, Entry]:
    if not job.done():
        job.gather(tell, engine)
    kept = json.loads(job.file.read_text("utf-8"))
    entries = {}
    for claim in claims:
        finding = kept["findings"][claim.id]
        entries[claim.id] = Entry(gather.record(claim, finding, job.profile, "this run", kept["seconds"]), finding)
    return entries


def digest(claim: Claim, profile: str) -> str:
    """Digest of all that a claim's entry depends on: declarations, sizes, code and data of the rooms it uses."""
    same = [each for each in LEDGER.values() if (each.floor, each.job) == (claim.floor, claim.job)]
    declared = "".join(repr(gather.tested(each)) for each in same)
    sizes = repr(GRIDS[profile]) if claim.floor == "theory" else profile
    return hashlib.sha256(f"{declared}{sizes}{_code(claim.floor)}".encode()).hexdigest()[:16]


@cache
def _code(floor: Floor) -> str:
    """A digest of the files of a floor's rooms: code, prompts, weights."""
    total = hashlib.sha256()
    for file in (file for room in rooms(floor) for file in _files(room)):
        total.update(f"{file.relative_to(_HOUSE)}\0".encode())
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def rooms(floor: Floor) -> list[str]:
    """The rooms that a floor's evidence depends on: its own, and all that they import, directly or not."""
    found, waiting = set(), [*_ROOTS[floor]]
    while waiting:
        if (room := waiting.pop()) not in found:
            found.add(room)
            code = (file.read_text("utf-8") for file in _files(room) if file.suffix == ".py")
            names = {name for text in code for name in _IMPORT.findall(text)}
            # `_ROOTS` names the files of reproduce/ that make evidence; the others only show it.
            waiting += [name if (_HOUSE / name).is_dir() else f"{name}.py" for name in names if name != "reproduce"]
    return sorted(found)


def _files(room: str) -> list[Path]:
    path = _HOUSE / room
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [file for file in files if file.is_file() and "__pycache__" not in file.parts]


def fallen(entries: Sequence[Entry], expected: Path) -> list[str]:
    """Claims that held when `expected` was committed and do not in this run, a sentence each.

    Evidence of a laboratory or a study is compared with that of the same profile only: at another size a claim may
    rightly fail.

    Raises:
        FileNotFoundError: There is no such file.
    """
    before = {record["id"]: record for record in json.loads(expected.read_text("utf-8"))}
    return [
        f"{now['id']} had held ({old['finding']}, {words.worded(old)}) and does not: "
        f"{now['finding']}, {words.worded(now)}"
        for now in (entry.record for entry in entries)
        if now["evidence"] == "this run"
        and (old := before.get(now["id"])) is not None
        and holds(old)
        and (now["floor"] == "theory" or old["profile"] == now["profile"])
        and not holds(now)
    ]


def write(entries: Sequence[Entry], file: Path) -> None:
    """Write `claims.json`.

    Raises:
        OSError: It cannot be written; what was there before is kept.
    """
    records = [entry.record for entry in entries]
    put(file, (json.dumps(records, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())
