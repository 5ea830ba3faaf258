"""Transcripts that the fast path has finished, a line of JSON each: a run that was stopped goes on after them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from secondlook.correction.transcript import Transcript
from secondlook.files import DataError

NAME = "transcripts.jsonl"
"""File of an arm, in the folder of the arm."""


class KeptTranscripts:
    """The file of an arm's finished transcripts, open for more.

    Samples that failed are not kept: a later call asks them again, as Inspect's path does.

    Args:
        path: The file; made if it is missing.

    Attributes:
        finished: The transcripts that it held when it was opened, by sample.

    Raises:
        DataError: If a line is no transcript.
        OSError: If the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b")
        try:
            self._file.seek(0)
            whole = self._file.read()
            # A process that is killed may leave half a line at the end: that sample is asked again.
            whole = whole[: whole.rfind(b"\n") + 1]
            self._file.truncate(len(whole))
            self.finished = {each.sample: each for each in _read(path, whole)}
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> KeptTranscripts:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, transcript: Transcript) -> None:
        """Keep a transcript, unless its sample failed; a process that is killed after this has not lost it."""
        if transcript.stop == "error":
            return
        self._file.write(transcript.to_json().encode() + b"\n")
        self._file.flush()


def _read(path: Path, whole: bytes) -> Iterator[Transcript]:
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            yield Transcript.from_json(line)
        except ValueError:
            raise DataError(
                path, number, "this is no transcript; remove the line, and its sample is asked again"
            ) from None
