"""Times of the parts of a run, kept beside it: the share of its cost that is not the model's."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from secondlook.machine import whole

FILE = "times.json"
_first = True


@dataclass(frozen=True, slots=True)
class Times:
    """Times of one command that ran an evaluation from its first question to its end.

    Attributes:
        opening: Seconds from the start of the process, or of the call where the process did other things before, until
            questions were loaded, models were open and questions of a user's own were tried.
        asking: Seconds until the last arm was done.
        reporting: Seconds until the report was written.
        processor: Processor seconds of this process in each of the three: the driver's, and the model's where it runs
            in this process.
    """

    opening: float
    asking: float
    reporting: float
    processor: tuple[float, float, float]


class Clock:
    """Takes the times of one command."""

    def __init__(self) -> None:
        global _first  # a process starts once: a later command in it has no start of its own
        # Times of day, not of a monotonic clock: the system tells the start of a process so.
        self._marks = [psutil.Process().create_time() if _first else time.time()]
        self._processor = [0.0 if _first else time.process_time()]
        _first = False

    def mark(self) -> None:
        """A part is over."""
        self._marks.append(time.time())
        self._processor.append(time.process_time())

    def keep(self, folder: Path) -> None:
        """Write the times down, once the third part is over."""
        self.mark()
        start, opened, done, reported = self._marks
        begun, opening, asking, reporting = self._processor
        processor = (opening - begun, asking - opening, reporting - asking)
        times = Times(opened - start, done - opened, reported - done, processor)
        with whole(folder / FILE) as file:
            file.write((json.dumps(asdict(times), indent=1) + "\n").encode())


def read(folder: Path) -> Times | None:
    """Read what :meth:`Clock.keep` wrote; ``None`` if there is nothing.

    Raises:
        ValueError: If the file is not one of ours.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        kept = json.loads(file.read_text("utf-8"))
        return Times(**{**kept, "processor": tuple(kept["processor"])})
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{file} is not what a run writes; remove it") from None
