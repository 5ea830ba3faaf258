"""One file fetched over the web: verified, and continued where an earlier try stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx

Progress = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes on disk so far and, where the server tells it, the whole size in
bytes."""


class DownloadError(RuntimeError):
    """A file could not be fetched: one line with its URL and the remedy.

    Attributes:
        url: What was asked for.
        reason: What happened and what to do.
    """

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.url}: {self.reason}"


def fetch(
    url: str,
    path: Path,
    digest: Callable[[Path], str],
    expected: str,
    progress: Progress | None = None,
    timeout: float = 30.0,
) -> None:
    """Fetch a file, unless it is there with the right content.

    An interrupted one is kept as ``NAME.part`` and continued by the next call, so nothing is fetched twice; ``NAME``
    itself appears only once its content is verified.

    Args:
        url: Its address.
        path: Where it goes; the folder is made if it does not exist.
        digest: What identifies the content of a file on disk.
        expected: The digest of the right content.
        progress: Told about every chunk, and once about a file that was there already.
        timeout: Seconds without a byte after which the connection counts as broken.

    Raises:
        DownloadError: No connection, an HTTP error, a broken connection, content that is not the published
            one, or a disk that is full or read-only.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # `retries` are of connections alone; a transfer that breaks is continued by the next call.
        with httpx.Client(transport=httpx.HTTPTransport(retries=2), timeout=timeout, follow_redirects=True) as client:
            _fetch(client, url, path, digest, expected, progress or _silent)
    except httpx.HTTPStatusError as error:
        answer = f"HTTP {error.response.status_code} {error.response.reason_phrase}".strip()
        raise DownloadError(url, f"{answer} — check the address or try again later") from None
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise DownloadError(url, f"not a web address ({error}) — check it") from None
    except httpx.HTTPError as error:
        what = str(error) or type(error).__name__
        raise DownloadError(url, f"connection failed ({what}) — run again to resume where it stopped") from None
    except OSError as error:
        reason = f"cannot write {path} ({error.strerror})"
        raise DownloadError(url, f"{reason} — make room or choose another folder, then run again") from None


def _fetch(
    client: httpx.Client, url: str, path: Path, digest: Callable[[Path], str], expected: str, progress: Progress
) -> None:
    if path.is_file() and digest(path) == expected:
        progress(path.name, path.stat().st_size, path.stat().st_size)
        return
    part = path.with_name(f"{path.name}.part")
    # A run stopped between the last byte and the renaming leaves a part that needs no request.
    if not (part.is_file() and digest(part) == expected):
        _continue(client, url, part, progress)
        got = digest(part)
        if got != expected:
            part.unlink()
            reason = f"not the published content ({got}, expected {expected})"
            raise DownloadError(url, f"{reason} — deleted; run again to fetch it afresh")
    part.replace(path)


def _continue(client: httpx.Client, url: str, part: Path, progress: Progress) -> None:
    """Append to ``part`` what it lacks, or write it anew if the server does not serve ranges."""
    have = part.stat().st_size if part.is_file() else 0
    # A compressed reply would count its range in compressed bytes.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            part.unlink()
            reason = f"the {have} bytes in {part.name} are not the beginning of this file"
            raise DownloadError(url, f"{reason} — deleted; run again to fetch it afresh")
        response.raise_for_status()
        if response.status_code != httpx.codes.PARTIAL_CONTENT:
            have = 0  # the server knows no ranges, and sends all of it
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            sent = response.headers.get("Content-Range", "none")
            raise DownloadError(
                url,
                f"the server sent another range ({sent}, asked from {have}) — delete {part} and run again",
            )
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdecimal() else None
        with part.open("ab" if have else "wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)
                have += len(chunk)
                progress(part.name.removesuffix(".part"), have, total)


def _silent(_name: str, _done: int, _total: int | None) -> None:
    """No progress is shown."""
