"""Transcripts that the fast path has finished, a line of JSON each: a run that was stopped goes on after them."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from secondlook.correction.transcript import Transcript
from secondlook.files import DataError

NAME = "transcripts.jsonl"
"""File of an arm, in the folder of the arm."""


def kept_in(folder: Path) -> bool:
    """Whether a folder of a run holds transcripts that the fast path kept."""
    return any(folder.glob(f"*/{NAME}"))


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
            *lines, last = self._file.read().split(b"\n")
            found = [_read(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
            if last:
                found += self._mended(path, len(lines) + 1, last)
            self.finished = {each.sample: each for each in found}
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

    def _mended(self, path: Path, number: int, last: bytes) -> list[Transcript]:
        """Transcript of a last line without an end; of half a line there is none, and its sample is asked again."""
        try:
            found = [_read(path, number, last)]
        except DataError:
            self._file.truncate(self._file.tell() - len(last))
            return []
        self._file.write(b"\n")
        return found


def _read(path: Path, number: int, line: bytes) -> Transcript:
    try:
        return Transcript.from_json(line)
    except ValueError:
        reason = "this is no transcript; remove the line, and its sample is asked again"
        raise DataError(path, number, reason) from None
